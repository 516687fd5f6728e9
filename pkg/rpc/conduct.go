package rpc

import "github.com/libp2p/go-libp2p/core/peer"

// conduct is what the client has learned about a peer's use of streams.
type conduct struct {
	habit habit
	acks  acks
}

// habit is how a peer handles a second message on a stream.
type habit uint8

const (
	habitUnknown habit = iota
	habitMany          // it has answered a second request on a stream
	habitOne           // it ends the stream after the first message (py-libp2p)
)

// acks is whether a peer answers messages that have no reply.
type acks uint8

const (
	acksUnknown acks = iota
	acksNever        // it ends the stream after reading them
	acksAlways       // it answers, and resets the stream when our side ends (py-libp2p 0.8.1)
)

// conduct returns what is known about a peer.
func (c *Client) conduct(id peer.ID) conduct {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, _ := c.conducts.load(id)
	return known
}

// remember updates what is known about a peer.
func (c *Client) remember(id peer.ID, change func(*conduct)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, _ := c.conducts.load(id)
	change(&known)
	c.conducts.store(id, known)
}

func (c *Client) habit(id peer.ID) habit { return c.conduct(id).habit }

func (c *Client) learn(id peer.ID, h habit) {
	c.remember(id, func(known *conduct) { known.habit = h })
}

// doubt records that a stream ended before its second answer. If the peer has served several
// requests on a stream before, this may only be a restart.
func (c *Client) doubt(id peer.ID) {
	c.remember(id, func(known *conduct) {
		if known.habit == habitMany {
			known.habit = habitUnknown
		} else {
			known.habit = habitOne
		}
	})
}

// took records that a peer has accepted a message that has no reply, and whether it answered
// nevertheless.
func (c *Client) took(id peer.ID, answered bool) {
	c.remember(id, func(known *conduct) {
		known.acks = acksNever
		if answered {
			known.acks = acksAlways
		}
	})
}
