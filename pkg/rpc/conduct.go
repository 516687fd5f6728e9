package rpc

import "github.com/libp2p/go-libp2p/core/peer"

// conduct is what is remembered of how a peer treats streams.
type conduct struct {
	habit habit
	acks  acks
}

// habit is how a peer treats the second message of a stream.
type habit uint8

const (
	habitUnknown habit = iota
	habitMany          // it has answered a second request on one stream
	habitOne           // it ends the stream after the first (py-libp2p)
)

// acks is whether a peer answers messages that have no reply.
type acks uint8

const (
	acksUnknown acks = iota
	acksNever        // it ends the stream when it has read them
	acksAlways       // it answers, and resets the stream at the end of our side (py-libp2p 0.8.1)
)

// conduct returns what is remembered of a peer.
func (c *Client) conduct(id peer.ID) conduct {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, _ := c.conducts.load(id)
	return known
}

// remember changes what is remembered of a peer.
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

// doubt notes that a stream ended before its second answer: once from a peer that
// was seen to serve many may be a restart.
func (c *Client) doubt(id peer.ID) {
	c.remember(id, func(known *conduct) {
		if known.habit == habitMany {
			known.habit = habitUnknown
		} else {
			known.habit = habitOne
		}
	})
}

// took notes that a peer has taken a message that has no reply, and whether it
// answered all the same.
func (c *Client) took(id peer.ID, answered bool) {
	c.remember(id, func(known *conduct) {
		known.acks = acksNever
		if answered {
			known.acks = acksAlways
		}
	})
}
