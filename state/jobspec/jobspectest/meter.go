package jobspectest

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Meter holds the cost of some work on job files against the floor: the parse of
// their HCL alone, by one goroutine. Both take turns over the same files, a short
// lap each, so that what else the machine does falls on both.
type Meter struct {
	Files      []File // at least one lap of them
	Goroutines int    // that do the work; the processors that Go may use, for the floor as well
	GCPercent  int    // as debug.SetGCPercent has it, while the work is done; 0: as it is

	Floor func(File) error // another floor; nil: the parse of the HCL

	laps []lap
}

// lapFiles is how many files a lap has: enough for some garbage collections, few
// enough that the machine is the same for both halves.
const lapFiles = 100

// lap is both halves of one.
type lap struct{ floor, work cost }

type cost struct {
	wall, cpu time.Duration
	mallocs   uint64
}

// Lap does both on the next files. Half of all laps begin with the work. It
// changes settings of the whole process meanwhile: nothing else may run.
func (m *Meter) Lap(work func(File) error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(m.Goroutines))
	at := len(m.laps) * lapFiles % (len(m.Files) - lapFiles + 1)
	files := m.Files[at : at+lapFiles]
	var l lap
	below := m.Floor
	if below == nil {
		below = parse
	}
	floor := func() (err error) { l.floor, err = measure(func() error { return each(files, below) }); return }
	real := func() (err error) {
		if m.GCPercent > 0 {
			defer debug.SetGCPercent(debug.SetGCPercent(m.GCPercent))
		}
		l.work, err = measure(func() error { return spread(files, m.Goroutines, work) })
		return
	}
	halves := []func() error{floor, real}
	if len(m.laps)%2 == 1 {
		slices.Reverse(halves)
	}
	for _, half := range halves {
		if err := half(); err != nil {
			return err
		}
	}
	m.laps = append(m.laps, l)
	return nil
}

func parse(f File) error {
	_, diags := hclsyntax.ParseConfig(f.Bytes, f.Name, hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	return nil
}

func each(files []File, work func(File) error) error {
	for _, f := range files {
		if err := work(f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// spread deals the files out like cards.
func spread(files []File, goroutines int, work func(File) error) error {
	if goroutines == 1 {
		return each(files, work)
	}
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < len(files) && errs[g] == nil; i += goroutines {
				errs[g] = work(files[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// measure begins without garbage: what one half left is not the other's to collect.
func measure(f func() error) (cost, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, wall := processCPU(), time.Now()
	err := f()
	c := cost{wall: time.Since(wall), cpu: processCPU() - cpu}
	runtime.ReadMemStats(&after)
	c.mallocs = after.Mallocs - before.Mallocs
	return c, err
}

// processCPU is what all threads used, the garbage collector's among them.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only for arguments that are wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Result is what the laps say together: medians, so that a lap in which another
// process was busy does not count.
type Result struct {
	CPU, Wall   Ratio // of the work to the floor, lap by lap
	Work, Floor PerFile
	Laps        int
}

// Ratio is a median and the quartiles around it: half of all laps lie between them.
type Ratio struct{ Low, Median, High float64 }

func (r Ratio) String() string {
	return fmt.Sprintf("%.2fx (half of the laps: %.2f-%.2f)", r.Median, r.Low, r.High)
}

// PerFile is what one file costs.
type PerFile struct {
	CPU, Wall time.Duration
	Allocs    float64
}

func (p PerFile) String() string {
	return fmt.Sprintf("%v of CPU, %v of wall, %.0f allocations", p.CPU.Round(time.Microsecond), p.Wall.Round(time.Microsecond), p.Allocs)
}

// Result sums up the laps so far, of which there must be one.
func (m *Meter) Result() Result {
	return Result{
		CPU:   m.ratio(func(c cost) time.Duration { return c.cpu }),
		Wall:  m.ratio(func(c cost) time.Duration { return c.wall }),
		Work:  m.perFile(func(l lap) cost { return l.work }),
		Floor: m.perFile(func(l lap) cost { return l.floor }),
		Laps:  len(m.laps),
	}
}

func (m *Meter) ratio(of func(cost) time.Duration) Ratio {
	all := m.sorted(func(l lap) float64 { return of(l.work).Seconds() / of(l.floor).Seconds() })
	n := len(all)
	return Ratio{Low: all[n/4], Median: all[n/2], High: all[n-1-n/4]}
}

func (m *Meter) perFile(half func(lap) cost) PerFile {
	median := func(of func(cost) float64) float64 {
		all := m.sorted(func(l lap) float64 { return of(half(l)) })
		return all[len(all)/2] / lapFiles
	}
	return PerFile{
		CPU:    time.Duration(median(func(c cost) float64 { return float64(c.cpu) })),
		Wall:   time.Duration(median(func(c cost) float64 { return float64(c.wall) })),
		Allocs: median(func(c cost) float64 { return float64(c.mallocs) }),
	}
}

func (m *Meter) sorted(of func(lap) float64) []float64 {
	all := make([]float64, len(m.laps))
	for i, l := range m.laps {
		all[i] = of(l)
	}
	slices.Sort(all)
	return all
}
