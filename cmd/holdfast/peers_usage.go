package main

import (
	"context"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// usageTypes are the requests of peers --usage, as columns.
var usageTypes = []string{"FIND_NODE", "GET_PROVIDERS", "ADD_PROVIDER", "GET_VALUE", "PUT_VALUE", "PING"}

func (c *peersCommand) printUsage(ctx context.Context, b api.Backend) error {
	peers, err := b.Usage(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printLines(c.app, peers)
	}
	header := append([]string{"PEER", "REQUESTS"}, usageTypes...)
	header = append(header, "REJECTED", "IN", "OUT", "TIME", "RECORDS", "LAST", "AGENT")
	var rows [][]string
	for i := range peers {
		rows = append(rows, usageRow(&peers[i]))
	}
	return c.table(header, rows)
}

func usageRow(p *api.PeerUsage) []string {
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	records := "-"
	if p.PeerID == "" {
		p.PeerID = "(others)"
	} else if p.RecordsHeld >= 0 {
		records = strconv.FormatInt(p.RecordsHeld, 10)
	}
	row := []string{p.PeerID, count(p.Requests)}
	for _, t := range usageTypes {
		row = append(row, count(p.ByType[t]))
	}
	busy := time.Duration(p.BusyMs * float64(time.Millisecond))
	return append(row, count(p.Rejected), humanize.IBytes(p.BytesIn), humanize.IBytes(p.BytesOut),
		span(busy), records, ago(p.Last), orDash(p.Agent))
}
