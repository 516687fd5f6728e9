// Command bench measures Holdfast's provider store side by side with the stores of other
// nodes: go-ds-leveldb and Pebble with the key layout of go-libp2p-kad-dht, and the same
// layout on this project's own go-datastore.
//
// It is a separate module, so that Holdfast does not depend on the other stores. Every
// store runs in its own process, in turns. Package workload describes the work and how
// far to trust the figures.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"github.com/holdfast-dht/holdfast/internal/workload"
)

// stores are the stores to measure, with the names of their columns.
var stores = []struct {
	name string
	open workload.Open
	what string
}{
	{"holdfast", workload.OpenNode, "the node's provider store"},
	{"pebble", openPebble, "Pebble v2, go-libp2p-kad-dht's keys, bloom filters, 128 MB cache"},
	{"leveldb", openLevelDB, "go-ds-leveldb with its defaults, go-libp2p-kad-dht's keys"},
	{"datastore", openDatastore, "Holdfast's go-datastore (bbolt rows), go-libp2p-kad-dht's keys; slow at 10 million"},
}

// serveEnv is the environment variable with the store that this process serves.
const serveEnv = "HOLDFAST_BENCH_SERVE"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if name := os.Getenv(serveEnv); name != "" {
		for _, s := range stores {
			if s.name == name {
				return workload.Serve(os.Stdin, os.Stdout, s.open)
			}
		}
		return fmt.Errorf("no store %q", name)
	}
	var cfg workload.Config
	flag.IntVar(&cfg.Records, "records", 1_000_000, "number of records")
	flag.DurationVar(&cfg.Window, "window", 0, "how long each rate is measured (0: 3s)")
	flag.IntVar(&cfg.Days, "days", 2, "simulated days in which all records are republished every 22 hours")
	flag.DurationVar(&cfg.RemoveEvery, "remove-every", 0, "how often expired records are removed meanwhile (0: 1h); at ten million records 11h saves hours")
	flag.Func("steps", "steps to do, separated by commas: "+strings.Join(workload.Steps(), ", "), func(s string) error {
		cfg.Steps = strings.Split(s, ",")
		return cfg.Validate()
	})
	names := flag.String("stores", "holdfast,pebble,leveldb", "stores to measure; the first is compared with the others")
	dir := flag.String("dir", ".", "directory on the disk to measure; the files written there are removed")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Usage = usage
	flag.Parse()
	return compare(cfg, strings.Split(*names, ","), *dir, *asJSON)
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "Usage: go run . [flags]\n\nStores:")
	for _, s := range stores {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-10s %s\n", s.name, s.what)
	}
	flag.PrintDefaults()
}

func compare(cfg workload.Config, names []string, parent string, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var targets []workload.Target
	for _, name := range names {
		targets = append(targets, workload.Target{Name: name, Command: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, self)
			cmd.Env = append(os.Environ(), serveEnv+"="+name)
			return cmd
		}})
	}
	dir, err := os.MkdirTemp(parent, "holdfast-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	report, err := workload.Compare(ctx, cfg, dir, targets, progress)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	return report.WriteTable(os.Stdout)
}

// progress prints figures as they arrive.
func progress(step, store string, figures []workload.Figure) {
	fmt.Fprintf(os.Stderr, "%-12s %-10s", step, store)
	for _, f := range figures[:min(3, len(figures))] {
		fmt.Fprintf(os.Stderr, "  %s %s", strconv.FormatFloat(f.Value, 'g', 4, 64), f.Unit)
	}
	fmt.Fprintln(os.Stderr)
}
