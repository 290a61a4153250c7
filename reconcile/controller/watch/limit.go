package watch

import (
	"errors"
	"syscall"
)

// limitOf is what to raise when the machine has no more watches to give; empty
// for an error of another kind.
func limitOf(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "fs.inotify.max_user_watches (sysctl)"
	case errors.Is(err, syscall.EMFILE):
		return "fs.inotify.max_user_instances (sysctl), or the open files of this process (ulimit -n, LimitNOFILE=)"
	case errors.Is(err, syscall.ENFILE):
		return "fs.file-max (sysctl)"
	}
	return ""
}

// explain says it in words: ENOSPC calls itself a full disk.
func explain(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the limit of inotify watches is reached"
	case errors.Is(err, syscall.EMFILE):
		return "the limit of inotify instances or of open files is reached"
	}
	return err.Error()
}
