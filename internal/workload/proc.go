package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-dht/holdfast/internal/cputime"
)

// usage is what the process has used since its start.
type usage struct {
	at    time.Time
	cpu   time.Duration
	wrote int64 // bytes passed to write calls
}

func measure() usage {
	return usage{at: time.Now(), cpu: cputime.Used(), wrote: procNumber("io", "wchar:")}
}

// since returns what the process has used since u.
func (u usage) since() (took, cpu time.Duration, wrote int64) {
	now := measure()
	return now.at.Sub(u.at), now.cpu - u.cpu, now.wrote - u.wrote
}

// procNumber reads a number of this process from /proc. It returns 0 if there is none.
func procNumber(file, name string) (n int64) {
	b, err := os.ReadFile("/proc/self/" + file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	return n
}

// anonymous returns the memory of this process that is not backed by a file, in bytes: heap
// and stacks, but not the pages of mapped files, which the system can reclaim at any time.
func anonymous() int64 { return procNumber("status", "RssAnon:") << 10 }

// quiet waits until the process has stopped writing, so that background work of the previous
// step is not counted for the next. The wait is bounded, because a store may have a lot of
// background work.
func quiet() {
	const still, poll, most = 5, 100 * time.Millisecond, 30 * time.Second
	begin, n, last := time.Now(), 0, int64(-1)
	for n < still && time.Since(begin) < most {
		now := procNumber("io", "wchar:")
		if n++; now-last > 1<<16 {
			n = 0
		}
		last = now
		time.Sleep(poll)
	}
}

// peak is the maximum of the anonymous memory.
type peak struct{ bytes atomic.Int64 }

// watch samples the memory until stop is called.
func (p *peak) watch() (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { p.sample(quit) })
	return func() {
		close(quit)
		wg.Wait()
	}
}

func (p *peak) sample(stop <-chan struct{}) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		p.bytes.Store(max(p.bytes.Load(), anonymous()))
		select {
		case <-stop:
			return
		case <-t.C:
		}
	}
}

// dirBytes returns the combined length of all files below dir.
func dirBytes(dir string) (n int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if os.IsNotExist(err) {
			return nil // an LSM tree removes files at any time
		}
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	return n, err
}
