package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/workload"
)

// benchStoreCommand is `holdfast bench store`.
type benchStoreCommand struct {
	*app
	cfg   workload.Config
	dir   string
	serve bool
}

func newBenchStore(a *app) *cobra.Command {
	c := &benchStoreCommand{app: a}
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Measure the provider store",
		Long: `Measure the provider store on this machine: fill it like a server in two days, then
measure ingest, refresh, lookups with and without ingest, waiting callers, expiry,
republishing, and opening after a clean stop and after a kill. Written bytes and fsyncs are
shown with the rates, because they are the same on any disk.

It works in a directory of its own below --dir, and removes it. Steps: ` + strings.Join(workload.Steps(), ", ") + `.`,
		Example: `  holdfast bench store
  holdfast bench store --records 10000000 --dir /var/lib/holdfast --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.serve {
				return workload.Serve(a.in, a.out, workload.OpenNode)
			}
			return c.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.cfg.Records, "records", 1_000_000, "`number` of records")
	f.IntSliceVar(&c.cfg.Batches, "batch", []int{100, 1000, 10_000}, "`sizes` of batches")
	f.IntSliceVar(&c.cfg.Callers, "callers", []int{1, 64, 1024}, "`numbers` of callers that wait for each record")
	f.DurationVar(&c.cfg.Window, "window", 0, "`duration` of the measurement of each rate (0: 3s)")
	f.IntVar(&c.cfg.Days, "days", 2, "simulated `days` in which all records are republished every 22 hours")
	f.StringSliceVar(&c.cfg.Steps, "steps", nil, "`steps` to run (default: all)")
	f.StringVar(&c.dir, "dir", ".", "`directory` on the disk to measure")
	f.BoolVar(&c.serve, "serve", false, "run as the measured process")
	_ = f.MarkHidden("serve") // the flag exists
	return cmd
}

func (c *benchStoreCommand) run(ctx context.Context) error {
	if err := c.cfg.Validate(); err != nil {
		return usageError{err}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	dir, err := os.MkdirTemp(c.dir, "holdfast-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	target := workload.Target{Name: "holdfast", Command: func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, self, "bench", "store", "--serve")
	}}
	report, err := workload.Compare(ctx, c.cfg, dir, []workload.Target{target}, func(step, _ string, _ []workload.Figure) {
		if isTerminal(c.errs) {
			fmt.Fprintf(c.errs, "%s done\n", step)
		}
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(report)
	}
	return report.WriteTable(c.out)
}
