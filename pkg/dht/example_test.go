package dht_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// network stands for the wire: it carries a request to the driver of its receiver.
type network map[kad.PeerID]*driver

// driver owns a Machine and a Handler. It calls other nodes directly, where a real
// driver writes to a stream and goes on; package node is that one.
type driver struct {
	net     network
	self    kad.Peer
	machine *dht.Machine
	handler *dht.Handler
	results map[dht.QueryID]dht.Result
}

func newDriver(net network, name string) *driver {
	d := &driver{net: net, self: kad.NewPeer(kad.PeerID(name)), results: make(map[dht.QueryID]dht.Result)}
	d.machine = dht.New(dht.Config{Self: d.self})
	d.handler = dht.NewHandler(dht.HandlerConfig{
		Self: d.self.ID, Store: new(records.Mem), Neighbours: d,
		Validate: func(_, _ []byte) error { return nil },
		Better:   func(_, a, b []byte) bool { return string(b) > string(a) },
	})
	net[d.self.ID] = d
	return d
}

// run performs outputs until the Machine wants nothing more for now.
func (d *driver) run(now time.Time, bootstrap ...kad.Peer) {
	for {
		out := d.machine.Take()
		for _, s := range out.Send {
			if resp, err := d.net.request(now, d.self.ID, s); err != nil {
				d.machine.Failed(now, s.ID, err)
			} else {
				d.machine.Responded(now, s.ID, resp)
			}
		}
		for _, r := range out.Done {
			d.results[r.Query] = r
		}
		if out.Bootstrap {
			for _, p := range bootstrap {
				d.machine.PeerFound(now, p, true)
			}
		}
		if len(out.Send) == 0 && !out.Bootstrap {
			return
		}
	}
}

// request has the receiver's Handler answer a Send.
func (net network) request(now time.Time, from kad.PeerID, s dht.Send) (dht.Response, error) {
	to, ok := net[s.To.ID]
	if !ok {
		return dht.Response{}, errors.New("no such peer")
	}
	var msg wire.Message
	reply, err := to.handler.Handle(now, dht.Request{From: from, Message: s.Message}, &msg)
	if err != nil || !reply {
		return dht.Response{}, err
	}
	to.machine.PeerFound(now, kad.NewPeer(from), true) // whoever asks may serve too
	resp := dht.Response{Message: &msg}
	for _, p := range msg.CloserPeers {
		if p.ID != from {
			resp.Closer = append(resp.Closer, kad.NewPeer(p.ID))
		}
	}
	return resp, nil
}

// Closer implements dht.Neighbours.
func (d *driver) Closer(dst []wire.Peer, target kad.Key, n int, asker kad.PeerID, _ wire.Scope) []wire.Peer {
	except := kad.KeyOf([]byte(asker))
	for _, p := range d.machine.Table().NearestExcept(nil, target, n, &except) {
		dst = append(dst, wire.Peer{ID: p.ID})
	}
	return dst
}

// Find implements dht.Neighbours: this network has no addresses.
func (d *driver) Find(kad.PeerID, wire.Scope) (wire.Peer, bool) { return wire.Peer{}, false }

// Said implements dht.Neighbours.
func (d *driver) Said(dst [][]byte, _ kad.PeerID, _ wire.Scope) [][]byte { return dst }

// A driver performs what the Machine puts out and gives back what came of it. Here
// fifty nodes run in one goroutine, on a clock of the example's own: no node needs a
// socket, and none needs to wait.
func ExampleMachine() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	net := make(network)
	first := newDriver(net, "node 0")
	first.machine.Restored(now, nil)
	first.run(now)
	for i := 1; i < 50; i++ {
		d := newDriver(net, fmt.Sprintf("node %d", i))
		d.machine.Restored(now, nil) // nothing was saved: it asks for the bootstrap peers
		d.run(now, first.self)
	}

	// Time passes: each node is woken when its Machine wants to be.
	for range 200 {
		for i := range 50 {
			d := net[kad.PeerID(fmt.Sprintf("node %d", i))]
			if at, ok := d.machine.Deadline(); ok && !at.After(now) {
				d.machine.Tick(now)
			}
			d.run(now)
		}
		now = now.Add(5 * time.Second)
	}

	// One node stores a value, another finds it.
	key := []byte("/example/key")
	store := dht.Query{Kind: dht.StoreValue, Key: key, Value: records.Value{Value: []byte("hello"), Expires: now.Add(time.Hour)}}
	writer, reader := net["node 7"], net["node 42"]
	stored, err := writer.machine.Start(now, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	writer.run(now)
	found, err := reader.machine.Start(now, dht.Query{Kind: dht.FindValue, Key: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	reader.run(now)

	fmt.Printf("stored at %d peers\n", writer.results[stored].Stats.StoredAt)
	fmt.Printf("found %q\n", reader.results[found].Value.Value)
	// Output:
	// stored at 20 peers
	// found "hello"
}
