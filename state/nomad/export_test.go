package nomad

import "time"

// SetSilence lets a test wait less for a stream that says nothing.
func (c *Client) SetSilence(d time.Duration) { c.silence = d }
