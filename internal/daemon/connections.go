package daemon

import (
	"context"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	basic "github.com/libp2p/go-libp2p/p2p/net/connmgr"
	ma "github.com/multiformats/go-multiaddr"
)

var (
	_ connmgr.ConnManager = (*connections)(nil)
	_ network.Notifiee    = (*connections)(nil)
)

// connections is libp2p's connection manager with limits that can change at run time. A
// change replaces the manager, and the new one gets the open connections. Safe for
// concurrent use.
type connections struct {
	options []basic.Option

	mu        sync.RWMutex
	now       *basic.BasicConnMgr
	low, high int
	open      map[network.Conn]struct{}
	protected map[protection]struct{}
}

// protection keeps the connections of a peer from being trimmed.
type protection struct {
	id  peer.ID
	tag string
}

func newConnections(low, high int, options ...basic.Option) (*connections, error) {
	c := &connections{options: options, open: map[network.Conn]struct{}{}, protected: map[protection]struct{}{}}
	return c, c.limit(low, high)
}

// limit sets the limits: when there are more than high connections, they are closed down
// to low. The minute of grace of each open connection starts again.
func (c *connections) limit(low, high int) error {
	c.mu.Lock()
	if c.low == low && c.high == high {
		c.mu.Unlock()
		return nil
	}
	next, err := basic.NewConnManager(low, high, c.options...)
	if err != nil {
		c.mu.Unlock()
		return fmt.Errorf("connection limits: %w", err)
	}
	c.hand(next)
	last := c.now
	c.now, c.low, c.high = next, low, high
	c.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.Close()
}

// hand copies the tags and protections of connected or protected peers to a new
// connection manager.
func (c *connections) hand(next *basic.BasicConnMgr) {
	for conn := range c.open {
		next.Notifee().Connected(nil, conn)
		if info := c.now.GetTagInfo(conn.RemotePeer()); info != nil {
			for tag, value := range info.Tags {
				next.TagPeer(conn.RemotePeer(), tag, value)
			}
		}
	}
	for p := range c.protected {
		next.Protect(p.id, p.tag)
	}
}

// with runs f on the current connection manager, which is not replaced meanwhile.
func (c *connections) with(f func(*basic.BasicConnMgr)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f(c.now)
}

// Notifee implements connmgr.ConnManager.
func (c *connections) Notifee() network.Notifiee { return c }

// Connected implements network.Notifiee.
func (c *connections) Connected(n network.Network, conn network.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = struct{}{}
	c.now.Notifee().Connected(n, conn)
}

// Disconnected implements network.Notifiee.
func (c *connections) Disconnected(n network.Network, conn network.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
	c.now.Notifee().Disconnected(n, conn)
}

// Listen implements network.Notifiee.
func (c *connections) Listen(network.Network, ma.Multiaddr) {}

// ListenClose implements network.Notifiee.
func (c *connections) ListenClose(network.Network, ma.Multiaddr) {}

// Protect implements connmgr.ConnManager.
func (c *connections) Protect(id peer.ID, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protected[protection{id, tag}] = struct{}{}
	c.now.Protect(id, tag)
}

// Unprotect implements connmgr.ConnManager.
func (c *connections) Unprotect(id peer.ID, tag string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.protected, protection{id, tag})
	return c.now.Unprotect(id, tag)
}

// IsProtected implements connmgr.ConnManager.
func (c *connections) IsProtected(id peer.ID, tag string) (protected bool) {
	c.with(func(m *basic.BasicConnMgr) { protected = m.IsProtected(id, tag) })
	return protected
}

// TagPeer implements connmgr.ConnManager.
func (c *connections) TagPeer(id peer.ID, tag string, value int) {
	c.with(func(m *basic.BasicConnMgr) { m.TagPeer(id, tag, value) })
}

// UntagPeer implements connmgr.ConnManager.
func (c *connections) UntagPeer(id peer.ID, tag string) {
	c.with(func(m *basic.BasicConnMgr) { m.UntagPeer(id, tag) })
}

// UpsertTag implements connmgr.ConnManager.
func (c *connections) UpsertTag(id peer.ID, tag string, upsert func(int) int) {
	c.with(func(m *basic.BasicConnMgr) { m.UpsertTag(id, tag, upsert) })
}

// GetTagInfo implements connmgr.ConnManager.
func (c *connections) GetTagInfo(id peer.ID) (info *connmgr.TagInfo) {
	c.with(func(m *basic.BasicConnMgr) { info = m.GetTagInfo(id) })
	return info
}

// TrimOpenConns implements connmgr.ConnManager. It closes connections, and the network
// then calls Disconnected, so the lock must be free meanwhile.
func (c *connections) TrimOpenConns(ctx context.Context) { c.manager().TrimOpenConns(ctx) }

// CheckLimit implements connmgr.ConnManager.
func (c *connections) CheckLimit(l connmgr.GetConnLimiter) error { return c.manager().CheckLimit(l) }

// Close implements connmgr.ConnManager.
func (c *connections) Close() error { return c.manager().Close() }

func (c *connections) manager() (now *basic.BasicConnMgr) {
	c.with(func(m *basic.BasicConnMgr) { now = m })
	return now
}
