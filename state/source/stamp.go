package source

import (
	"os"
	"syscall"
	"time"
)

// Stamp is a file's or folder's stat, as far as it tells that something moved; the
// zero value is that of nothing. Links are followed.
type Stamp struct {
	Size  int64  `json:"s,omitempty"`
	Inode uint64 `json:"i,omitempty"`
	Mode  uint32 `json:"m,omitempty"`
	MTime int64  `json:"t,omitempty"` // nanoseconds
	CTime int64  `json:"c,omitempty"`
}

// StampOf is the stamp of what is at path now.
func StampOf(path string) Stamp {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{}
	}
	return StampIn(info)
}

// StampIn is the stamp in what stat has said.
func StampIn(info os.FileInfo) Stamp {
	out := Stamp{Size: info.Size(), Mode: uint32(info.Mode()), MTime: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		out.Inode, out.CTime = sys.Ino, changed(sys)
	}
	return out
}

// Clocks of file systems tick in steps: after a change within one of them nothing
// shows. Those without fractions of a millisecond may tick as seldom as each 2 s.
const (
	fineTick   = 50 * time.Millisecond
	coarseTick = 2 * time.Second
)

// Settled reports whether a change after now would show in the stamp, so that what
// was read at now need not be read again.
func (s Stamp) Settled(now time.Time) bool {
	last, tick := max(s.MTime, s.CTime), fineTick
	if last%int64(time.Millisecond) == 0 {
		tick = coarseTick
	}
	return now.UnixNano()-last > int64(tick)
}
