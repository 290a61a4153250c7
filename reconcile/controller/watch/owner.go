package watch

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// owner is the one goroutine that has all state.
type owner struct {
	Options
	fs    *fsnotify.Watcher // nil while there is none to be had
	noFS  error             // why
	errs  chan error        // what fs complained of
	lost  chan struct{}     // fs lost events
	pumps sync.WaitGroup

	trees, files []*lookup
	folders      map[string]*folder // by real path: what fs watches
	ids          map[id]*folder     // the same, by what they are
	far          map[uint64]bool    // devices: are they of another machine
	full         error              // the limit that this round ran into
	said         map[string]string  // what was last said about a folder that cannot be read

	todo        todo
	first, last time.Time // events since the last Change was given
	quiet, poll *time.Timer
	polling     bool
	polled      []string // what OnPoll was told last
	next        Change   // settled, not read yet
	found       int      // folders in trees that were not watched before
}

func newOwner(o Options) *owner {
	o.Settle, o.Poll = orDefault(o.Settle, 250*time.Millisecond), orDefault(o.Poll, 10*time.Second)
	if o.open == nil {
		o.open = fsnotify.NewWatcher
	}
	if o.add == nil {
		o.add = (*fsnotify.Watcher).Add
	}
	if o.remote == nil {
		o.remote = remote
	}
	w := &owner{
		Options: o,
		errs:    make(chan error, 1),
		lost:    make(chan struct{}, 1),
		folders: map[string]*folder{},
		ids:     map[id]*folder{},
		far:     map[uint64]bool{},
		said:    map[string]string{},
		todo:    newTodo(),
		quiet:   time.NewTimer(time.Hour),
		poll:    time.NewTimer(time.Hour),
	}
	w.quiet.Stop()
	w.poll.Stop()
	return w
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func (o *owner) run(w *Watcher) {
	defer close(w.done)
	defer close(w.out)
	defer o.close()
	for {
		var out chan Change
		if !o.next.empty() {
			out = w.out
		}
		if o.turn != nil {
			o.turn()
		}
		select {
		case <-w.quit:
			return
		case s := <-w.sets:
			o.set(s)
		case event := <-o.events():
			o.note(event)
		case err := <-o.errs:
			o.complain(err)
		case <-o.lost:
			o.complain(fsnotify.ErrEventOverflow)
			o.todo.lost = true
			o.touch()
		case <-o.quiet.C:
			o.settle()
		case <-o.poll.C:
			o.pollNow()
		case out <- o.next:
			o.next = Change{}
		}
	}
}

func (o *owner) events() <-chan fsnotify.Event {
	if o.fs == nil {
		return nil
	}
	return o.fs.Events
}

func (o *owner) close() {
	o.quiet.Stop()
	o.poll.Stop()
	if o.fs != nil {
		_ = o.fs.Close()
	}
	o.pumps.Wait()
}

// reopen tries to get an inotify instance where there is none yet.
func (o *owner) reopen() {
	if o.fs != nil {
		return
	}
	o.fs, o.noFS = o.open()
	if o.noFS != nil {
		o.fs = nil
		o.complain(o.noFS)
		return
	}
	o.pumps.Go(func() { pump(o.fs.Errors, o.errs, o.lost) })
}

// pump takes errors from fsnotify at once. It sends some of them with its lock
// held, which Add and Remove wait for, so the goroutine that calls those must
// never be the one that is to receive. Of many errors one is passed on, but a
// loss of events always.
func pump(from <-chan error, errs chan<- error, lost chan<- struct{}) {
	for err := range from {
		if errors.Is(err, fsnotify.ErrEventOverflow) {
			select {
			case lost <- struct{}{}:
			default:
			}
			continue
		}
		select {
		case errs <- err:
		default:
		}
	}
}

func (o *owner) complain(err error) {
	if o.OnError != nil {
		o.OnError(err)
	}
}

// set takes up the lookups that stay, so that only what is new is named.
func (o *owner) set(s setting) {
	o.trees = o.takeUp(o.trees, s.trees, aTree)
	o.files = o.takeUp(o.files, s.files, aFile)
	o.todo.verify = true
	o.sync()
	if !o.todo.silent() {
		o.touch()
	}
}

func (o *owner) takeUp(old []*lookup, paths []string, k kind) []*lookup {
	var taken []*lookup
	for _, path := range distinct(paths) {
		i := slices.IndexFunc(old, func(l *lookup) bool { return l.path == path })
		if i >= 0 {
			taken = append(taken, old[i])
			continue
		}
		l := &lookup{kind: k, path: path, start: "/", rest: path}
		o.todo.name(l)
		taken = append(taken, l)
	}
	return taken
}

func distinct(paths []string) []string {
	clean := make([]string, len(paths))
	for i, path := range paths {
		clean[i] = filepath.Clean(path)
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// note takes an event in without looking at any file: a burst must be read
// faster than it is made.
//
// Changes of mode count as well. A file made readable matters; reading one is no
// such event, and what a backup that puts access times back costs is one glance
// at each folder.
func (o *owner) note(e fsnotify.Event) {
	path := filepath.Clean(e.Name)
	entries, moved := e.Op != fsnotify.Write, false
	in, name := o.folders[filepath.Dir(path)], filepath.Base(path)
	if in != nil {
		for _, l := range in.passing[name] {
			o.todo.look(l)
			moved = true
		}
	}
	// Whatever happened to a watched folder or above it, its watch may be one of
	// what was there before.
	if entries && (moved || o.folders[path] != nil) {
		o.todo.suspects[path] = true
		moved = true
	}
	if in != nil && in.tree {
		o.todo.dirs[in.path] = true
		if entries {
			o.todo.scans[in.path] = true
		}
		moved = true
	}
	if moved {
		o.touch()
	}
}

// touch starts the wait for quiet. The timer is not set anew for each event of a
// burst, but when it fires.
func (o *owner) touch() {
	o.last = time.Now()
	if o.first.IsZero() {
		o.first = o.last
		o.quiet.Reset(o.Settle)
	}
}

// settle gives the Change when it has been quiet for long enough. New folders
// are watched only now, so what goes on in them was not heard yet: they get a
// time of quiet of their own.
func (o *owner) settle() {
	select {
	case event := <-o.events(): // on a busy machine the clock is ahead of them
		o.note(event)
	default:
	}
	latest := o.first.Add(patience * o.Settle)
	if o.wait(latest) {
		return
	}
	if o.sync() {
		o.last = time.Now()
		if o.wait(latest) {
			return
		}
	}
	o.first = time.Time{}
	o.offer(o.todo.take(o.views))
}

func (o *owner) wait(latest time.Time) bool {
	until := o.last.Add(o.Settle)
	if until.After(latest) {
		until = latest
	}
	left := time.Until(until)
	if left > 0 {
		o.quiet.Reset(left)
	}
	return left > 0
}

func (o *owner) offer(c Change) {
	roots := map[string]bool{}
	for _, t := range o.trees {
		roots[t.path] = true
	}
	o.next = o.next.merge(c, roots)
}

// pollNow names what is polled, having tried to watch it again.
func (o *owner) pollNow() {
	var c Change
	for _, l := range slices.Concat(o.trees, o.files) {
		why := l.why()
		if why == nil {
			continue
		}
		if !errors.Is(why, errRemote) {
			o.todo.looks[l] = true
			o.todo.verify = o.todo.verify || o.fs == nil
		}
		if l.kind == aTree {
			c.Trees = append(c.Trees, l.path)
		} else {
			c.Files = append(c.Files, l.path)
		}
	}
	if len(o.todo.looks) > 0 {
		o.sync()
		if !o.todo.silent() {
			o.touch()
		}
	}
	o.offer(c)
	if o.polling {
		o.poll.Reset(o.Poll)
	}
}

// judge says what can no longer be watched, or can again, once each time, and
// polls while there is anything to poll.
func (o *owner) judge() {
	again, lost := []string{}, map[string][]string{}
	whys := map[string]error{}
	var polled []string
	for _, l := range slices.Concat(o.trees, o.files) {
		why, text := l.why(), ""
		if why != nil {
			text, polled = explain(why), append(polled, l.path)
		}
		switch {
		case text == l.said:
		case text == "":
			again = append(again, l.path)
			o.todo.name(l) // it may have moved since it was last polled
		default:
			lost[text], whys[text] = append(lost[text], l.path), why
		}
		l.said = text
	}
	for text, paths := range lost {
		values := []any{"paths", paths, "reason", text, "every", o.Poll.String()}
		if limit := limitOf(whys[text]); limit != "" {
			values = append(values, "raise", limit)
		}
		o.Log.Info("cannot watch for changes; looking for them now and then instead", values...)
	}
	if len(again) > 0 {
		o.Log.Info("watching again", "paths", again)
	}
	polling := len(polled) > 0
	if polling && !o.polling {
		o.poll.Reset(o.Poll)
	} else if !polling {
		o.poll.Stop()
	}
	o.polling = polling
	if slices.Sort(polled); !slices.Equal(polled, o.polled) {
		if o.polled = polled; o.OnPoll != nil {
			o.OnPoll(slices.Clone(polled))
		}
	}
}

// why is the reason that this has to be polled.
func (l *lookup) why() error { return cmp.Or(l.blind, l.partly) }
