package daemon

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// bundleStep bounds the time for one file of a bundle. A bundle is often made because
// something hangs, and it must contain the other files.
const bundleStep = 10 * time.Second

// bundleText goes into each bundle.
const bundleText = `The state of a holdfast daemon, saved by "holdfast debug bundle".

goroutines.txt  what each goroutine is doing      heap.pb.gz    memory in use (go tool pprof)
status.json     how the node is doing             overview.json the data of the status page
config.toml     settings in effect, with origins  process.json  the process and its runtime
metrics.txt     as Prometheus would scrape them   log.txt       the last lines of the log
traces.jsonl    the last lookups, one a line      table.json    the routing table
usage.json      what each peer has cost

There is no private key in it, no record of others and no value. There are peer IDs,
addresses of peers, keys that were looked up, and paths of this machine. NAME.error
stands for a file that could not be made.
`

// bundleFile is one file of a debug bundle.
type bundleFile struct {
	name  string
	write func(ctx context.Context, w io.Writer) error
}

// bundle returns the files of a debug bundle. The first ones do not need the node, which
// may hang.
func (d *Daemon) bundle() []bundleFile {
	b := d.backend
	return []bundleFile{
		{"README.txt", func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, bundleText); return err }},
		{"goroutines.txt", func(_ context.Context, w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 2) }},
		{"log.txt", func(_ context.Context, w io.Writer) error { return d.options.Logs.recent.dump(w) }},
		{"config.toml", d.bundleConfig},
		{"process.json", d.bundleProcess},
		{"heap.pb.gz", func(_ context.Context, w io.Writer) error { return pprof.Lookup("heap").WriteTo(w, 0) }},
		{"status.json", asJSON(b.Status)},
		{"overview.json", asJSON(b.Overview)},
		{"usage.json", asJSON(b.Usage)},
		{"table.json", asJSON(b.Table)},
		{"traces.jsonl", func(ctx context.Context, w io.Writer) error {
			out := json.NewEncoder(w)
			return b.Traces(ctx, api.MaxTraces, func(t api.Trace) error {
				t.Value = nil // a bundle contains no values
				return out.Encode(t)
			})
		}},
		{"metrics.txt", d.bundleMetrics},
	}
}

// asJSON writes what ask returns.
func asJSON[T any](ask func(context.Context) (T, error)) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		v, err := ask(ctx)
		if err != nil {
			return err
		}
		out := json.NewEncoder(w)
		out.SetIndent("", " ")
		return out.Encode(v)
	}
}

func (d *Daemon) bundleConfig(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, d.current().Print(true))
	return err
}

func (d *Daemon) bundleProcess(ctx context.Context, w io.Writer) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return asJSON(func(context.Context) (any, error) {
		return map[string]any{
			"build": BuildInfo(), "started": d.started, "now": time.Now(),
			"goroutines": runtime.NumGoroutine(), "cpus": runtime.NumCPU(), "gomaxprocs": runtime.GOMAXPROCS(0),
			"descriptor_limit": descriptors(),
			"heap_bytes":       m.HeapAlloc, "heap_objects": m.HeapObjects, "from_system_bytes": m.Sys, "stack_bytes": m.StackInuse,
			"gc_cycles": m.NumGC, "gc_pause_total": time.Duration(m.PauseTotalNs).String(), "gc_cpu_fraction": m.GCCPUFraction,
		}, nil
	})(ctx, w)
}

func (d *Daemon) bundleMetrics(_ context.Context, w io.Writer) error {
	families, err := d.metrics.Gatherer().Gather()
	for _, f := range families { // the families that were gathered, in spite of an error
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return err
}

// writeBundle writes the files as one tar.gz.
func writeBundle(ctx context.Context, w io.Writer, now time.Time, files []bundleFile) error {
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, f := range files {
		name, data := makeFile(ctx, f)
		if err := ctx.Err(); err != nil {
			return err
		}
		h := &tar.Header{Name: "holdfast-debug/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: now, Format: tar.FormatPAX}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("debug bundle: %w", err)
		}
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("debug bundle: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("debug bundle: %w", err)
	}
	return zip.Close()
}

// makeFile returns a file's name and content. If the file fails or takes too long, it
// returns a file with the error.
func makeFile(ctx context.Context, f bundleFile) (name string, data []byte) {
	ctx, cancel := context.WithTimeout(ctx, bundleStep)
	defer cancel()
	made := make(chan []byte, 1) // a file that hangs keeps its own buffer
	err := within(ctx, func() error {
		var buf bytes.Buffer
		err := f.write(ctx, &buf)
		if err == nil {
			made <- buf.Bytes()
		}
		return err
	})
	if err != nil {
		return f.name + ".error", []byte(err.Error() + "\n")
	}
	return f.name, <-made
}

// DebugBundle implements api.Backend.
func (b *Backend) DebugBundle(ctx context.Context, w io.Writer) error {
	if b.bundle == nil {
		return api.Errorf(api.CodeUnsupported, "this node runs for one command only; ask a daemon")
	}
	return writeBundle(ctx, whileAsked{ctx, w}, time.Now(), b.bundle())
}
