package api

import (
	"context"
	"io"
	"time"
)

var _ Backend = (*Client)(nil)

// Identity implements Backend.
func (c *Client) Identity(ctx context.Context) (v Identity, err error) {
	err = c.call(ctx, opIdentity, request{}, &v)
	return v, err
}

// Status implements Backend.
func (c *Client) Status(ctx context.Context) (v Status, err error) {
	err = c.call(ctx, opStatus, request{}, &v)
	return v, err
}

// Health implements Backend.
func (c *Client) Health(ctx context.Context) (v Health, err error) {
	err = c.call(ctx, opHealth, request{}, &v)
	return v, err
}

// Overview implements Backend.
func (c *Client) Overview(ctx context.Context) (v Overview, err error) {
	err = c.call(ctx, opOverview, request{}, &v)
	return v, err
}

// Table implements Backend.
func (c *Client) Table(ctx context.Context) (v []TablePeer, err error) {
	err = c.call(ctx, opTable, request{}, &v)
	return v, err
}

// Peers implements Backend.
func (c *Client) Peers(ctx context.Context) (v []PeerInfo, err error) {
	err = c.call(ctx, opPeers, request{}, &v)
	return v, err
}

// Usage implements Backend.
func (c *Client) Usage(ctx context.Context) (v []PeerUsage, err error) {
	err = c.call(ctx, opUsage, request{}, &v)
	return v, err
}

// Put implements Backend.
func (c *Client) Put(ctx context.Context, key, value []byte, ttl time.Duration) (v Stored, err error) {
	err = c.call(ctx, opPut, request{Key: key, Value: value, TTL: ttl}, &v)
	return v, err
}

// Get implements Backend.
func (c *Client) Get(ctx context.Context, key []byte, quorum int) (v Value, err error) {
	err = c.call(ctx, opGet, request{Key: key, Quorum: quorum}, &v)
	return v, err
}

// Unpublish implements Backend.
func (c *Client) Unpublish(ctx context.Context, key []byte) error {
	return c.call(ctx, opUnpublish, request{Key: key}, nil)
}

// Provide implements Backend.
func (c *Client) Provide(ctx context.Context, key []byte) (v Stored, err error) {
	err = c.call(ctx, opProvide, request{Key: key}, &v)
	return v, err
}

// Unprovide implements Backend.
func (c *Client) Unprovide(ctx context.Context, key []byte) error {
	return c.call(ctx, opUnprovide, request{Key: key}, nil)
}

// ProvideLater implements Backend.
func (c *Client) ProvideLater(ctx context.Context, keys [][]byte) (v HandedOver, err error) {
	err = c.call(ctx, opProvideLater, request{Keys: keys}, &v)
	return v, err
}

// UnprovideAll implements Backend.
func (c *Client) UnprovideAll(ctx context.Context, keys [][]byte) (v Removed, err error) {
	err = c.call(ctx, opUnprovideAll, request{Keys: keys}, &v)
	return v, err
}

// FindPeer implements Backend.
func (c *Client) FindPeer(ctx context.Context, peerID string) (v Peer, err error) {
	err = c.call(ctx, opFindPeer, request{Peer: peerID}, &v)
	return v, err
}

// Closest implements Backend.
func (c *Client) Closest(ctx context.Context, key []byte) (v []Peer, err error) {
	err = c.call(ctx, opClosest, request{Key: key}, &v)
	return v, err
}

// Ping implements Backend.
func (c *Client) Ping(ctx context.Context, target string) (v Pong, err error) {
	err = c.call(ctx, opPing, request{Peer: target}, &v)
	return v, err
}

// Explain implements Backend.
func (c *Client) Explain(ctx context.Context, lookup string, key []byte) (v Trace, err error) {
	err = c.call(ctx, opExplain, request{Lookup: lookup, Key: key}, &v)
	return v, err
}

// Traces implements Backend.
func (c *Client) Traces(ctx context.Context, count int, fn func(Trace) error) error {
	return list(ctx, c, opTraces, request{Count: count}, fn)
}

// RepublishStatus implements Backend.
func (c *Client) RepublishStatus(ctx context.Context) (v RepublishStatus, err error) {
	err = c.call(ctx, opRepublishStatus, request{}, &v)
	return v, err
}

// RepublishNow implements Backend.
func (c *Client) RepublishNow(ctx context.Context) error {
	return c.call(ctx, opRepublishNow, request{}, nil)
}

// LogLevels implements Backend.
func (c *Client) LogLevels(ctx context.Context) (v map[string]string, err error) {
	err = c.call(ctx, opLogLevels, request{}, &v)
	return v, err
}

// SetLogLevel implements Backend.
func (c *Client) SetLogLevel(ctx context.Context, subsystem, level string) error {
	return c.call(ctx, opSetLogLevel, request{Subsystem: subsystem, Level: level}, nil)
}

// Provides implements Backend.
func (c *Client) Provides(ctx context.Context, fn func(Published) error) error {
	return list(ctx, c, opProvides, request{}, fn)
}

// FindProviders implements Backend.
func (c *Client) FindProviders(ctx context.Context, key []byte, count int, fn func(Peer) error) error {
	return list(ctx, c, opFindProviders, request{Key: key, Count: count}, fn)
}

// Backup implements Backend.
func (c *Client) Backup(ctx context.Context, w io.Writer) error { return c.chunks(ctx, opBackup, w) }

// DebugBundle implements Backend.
func (c *Client) DebugBundle(ctx context.Context, w io.Writer) error {
	return c.chunks(ctx, opDebugBundle, w)
}

// chunks writes the items of an answer one after another.
func (c *Client) chunks(ctx context.Context, op string, w io.Writer) error {
	return list(ctx, c, op, request{}, func(chunk []byte) error {
		_, err := w.Write(chunk)
		return err
	})
}
