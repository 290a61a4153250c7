package controller

import "sync"

// told remembers what was last said on each matter, so that the log is silent
// while nothing changes. Its zero value has said nothing.
type told struct {
	mu   sync.Mutex
	last map[string]string
}

// anew notes what is said now and reports whether it is news.
func (t *told) anew(matter, text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, ok := t.last[matter]; ok && last == text {
		return false
	}
	if t.last == nil {
		t.last = map[string]string{}
	}
	t.last[matter] = text
	return true
}

func (t *told) forget(matters ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range matters {
		delete(t.last, m)
	}
}
