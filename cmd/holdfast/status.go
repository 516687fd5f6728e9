package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/verdict"
)

// statusCommand is `holdfast status`.
type statusCommand struct{ *app }

func newStatus(a *app) *cobra.Command {
	c := &statusCommand{app: a}
	return a.daemonFlags(&cobra.Command{
		Use:   "status",
		Short: "Show the state of the node",
		Long: `Show the state of the node: first the verdict, which is the worst problem and what to do
about it, then network, table, records and background work.`,
		Example: `  holdfast status --json | jq .table_peers`,
		Args:    exactly(),
		RunE:    a.with(c.run),
	})
}

func (c *statusCommand) run(ctx context.Context, b api.Backend, _ []string) error {
	s, err := b.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(s)
	}
	return c.print(&s)
}

func (c *statusCommand) print(s *api.Status) error {
	starts := "-"
	if s.Starts > 0 {
		starts = fmt.Sprintf("%d, %d of them unclean", s.Starts, s.UncleanStarts)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return c.fields(append(verdictFields(&s.Verdict), []field{
		{"State", s.State, s.State != "ready"},
		{"Peer ID", s.PeerID, false},
		{"Version", s.Version, false},
		{"Uptime", span(time.Duration(s.UptimeSeconds * float64(time.Second))), false},
		{"Starts", starts, s.UncleanStarts > 0},
		{"Mode", fmt.Sprintf("%s (%s, reachability %s)", s.Mode, roleText(s), s.Reachability), false},
		{"Table", fmt.Sprintf("%s, %d verified, %d restored at start",
			counted(s.TablePeers, "peer"), s.VerifiedPeers, s.RestoredPeers), s.VerifiedPeers == 0},
		{"Connections", number(int64(s.ConnectedPeers)), false},
		{"Network size", networkSizeText(s), false},
		{"Records held", fmt.Sprintf("%s, %s", counted(s.ProviderRecords, "provider record"), counted(s.ValueRecords, "value")), false},
		{"Published keys", publishedText(s), s.OverdueKeys+s.UnannouncedFailed > 0},
		{"Refused by quotas", refusedText(s.Refused), len(s.Refused) > 0},
		{"Database size", databaseText(s), false},
		{"Space for records", spaceText(s), s.DBFill >= verdict.FillHigh},
		{"Disk", diskText(s), !s.DiskFullSince.IsZero()},
		{"Old copies", copiesText(s), false},
		{"Data directory", orDash(s.DataDir), false},
		{"Status page", webText(s.MetricsAddr), false},
		{"Delegated routing", orDash(s.RoutingAddr), false},
		{"Running queries", number(int64(s.Queries)), false},
		{"Last snapshot", ago(s.LastSnapshot), false},
		{"Last expiry", ago(s.LastExpiry), false},
		{"Last refresh", ago(s.LastRefresh), false},
		{"Last republish", ago(s.LastRepublish), false},
	}...))
}

func publishedText(s *api.Status) string {
	text := fmt.Sprintf("%d, %d overdue", s.PublishedKeys, s.OverdueKeys)
	if s.UnannouncedFailed > 0 {
		text += fmt.Sprintf(", %d never published: too few peers took them", s.UnannouncedFailed)
	}
	return text
}

// verdictFields returns the worst problem, what to do about it, and all further problems.
// Without a verdict, of a node that runs for one command, it returns nothing.
func verdictFields(v *api.Verdict) []field {
	if v.Word == "" {
		return nil
	}
	all := []field{{"Verdict", causeText(&v.Cause), v.IsProblem()}}
	if v.IsProblem() && v.Runbook != "" {
		all = append(all, field{"What to do", v.Runbook, false})
	}
	for i := range v.Causes {
		if c := &v.Causes[i]; i > 0 && c.IsProblem() {
			all = append(all, field{"Also", causeText(c), true})
		}
	}
	return all
}

// causeText returns a cause in a line, with the local time.
func causeText(c *api.Cause) string {
	if c.Since.IsZero() {
		return fmt.Sprintf("%s: %s", c.Word, c.Why)
	}
	return fmt.Sprintf("%s since %s: %s", c.Word, c.Since.Local().Format(time.DateTime), c.Why)
}

// roleText returns whether the node serves other peers or only sends requests.
func roleText(s *api.Status) string {
	if s.Serving {
		return "serving"
	}
	return "client"
}

// networkSizeText returns the estimated number of peers in the network, rounded. The estimate
// comes from the answers of peers, so without peers that answer there is none.
func networkSizeText(s *api.Status) string {
	if s.NetworkSize <= 0 || s.VerifiedPeers == 0 {
		return "unknown"
	}
	n := int64(math.Round(s.NetworkSize))
	return fmt.Sprintf("about %s %s", humanize.Comma(n), english.PluralWord(int(n), "peer", ""))
}

// databaseText returns how large the database files are, and how large they may become.
// They include free space that records may still use, see spaceText.
func databaseText(s *api.Status) string {
	if s.DBMaxBytes == 0 {
		return "none, records are in memory"
	}
	most := bytesText(s.DBMaxBytes)
	if s.DBMost > 0 && s.DBMost < s.DBMaxBytes {
		most = fmt.Sprintf("%s (all that the disk has space for; storage.max_bytes is %s)", bytesText(s.DBMost), most)
	}
	return fmt.Sprintf("%s of at most %s", bytesText(s.DBBytes), most)
}

// spaceText returns how much of the space for records is used.
func spaceText(s *api.Status) string {
	if s.DBMaxBytes == 0 {
		return "-"
	}
	share := fmt.Sprintf("%.0f %% used", 100*s.DBFill)
	if s.DBMost == 0 { // an older daemon
		return share
	}
	return fmt.Sprintf("%s, %s of %s", share, bytesText(int64(s.DBFill*float64(s.DBMost))), bytesText(s.DBMost))
}

// diskText returns how much space the file system of the data directory has.
func diskText(s *api.Status) string {
	if s.DiskTotal == 0 {
		return "-"
	}
	return fmt.Sprintf("%s of %s free", bytesText(s.DiskFree), bytesText(s.DiskTotal))
}

// copiesText describes the files beside the database that the daemon does not use.
func copiesText(s *api.Status) string {
	if s.Copies == 0 {
		return "none"
	}
	return fmt.Sprintf("%s of %s (*.corrupt-*, *.replaced*, *.schema-*); remove them when you no longer need them",
		counted(s.Copies, "file"), bytesText(s.CopiesBytes))
}

// refusedText lists how many records each quota has refused since the start.
func refusedText(refused map[string]int64) string {
	if len(refused) == 0 {
		return "nothing"
	}
	var total int64
	var parts []string
	for _, quota := range slices.Sorted(maps.Keys(refused)) {
		total += refused[quota]
		parts = append(parts, fmt.Sprintf("%s by %s", humanize.Comma(refused[quota]), quota))
	}
	return fmt.Sprintf("%s %s: %s", humanize.Comma(total), english.PluralWord(int(total), "record", ""), strings.Join(parts, ", "))
}

// webText returns the address of a listener for browsers, or "-" if it is off.
func webText(addr string) string {
	if addr == "" {
		return "-"
	}
	return "http://" + addr + "/ (/metrics for Prometheus)"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
