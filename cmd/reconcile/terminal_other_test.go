//go:build !linux

package main

import "errors"

// startOnTerminal: scripts that need a terminal are skipped elsewhere.
func (p *process) startOnTerminal() error {
	return errors.New("there is no terminal for tests here")
}
