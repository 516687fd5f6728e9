package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// end returns when the publication of a key ends by itself, and why; zero: never.
func (n *Node) end(p *records.Published) (at time.Time, reason string) {
	own := time.Time{}
	if p.Kind == records.KindValue {
		own = n.valid.End(string(p.Key), p.Value)
	}
	if at = records.Earlier(own, p.Until); at.Equal(own) {
		return at, "the record was valid until " + at.UTC().Format(time.RFC3339)
	}
	return at, "it was stored with a lifetime of " + p.TTL.String()
}

// republish stores a published record locally again and returns the query that publishes it;
// gone if the publication has ended.
func (n *Node) republish(p *records.Published) (q *dht.Query, gone bool, err error) {
	now := time.Now()
	if end, reason := n.end(p); !end.IsZero() && !now.Before(end) {
		level := slog.LevelWarn
		if end.Equal(p.Until) { // as the publisher asked
			level = slog.LevelInfo
		}
		n.log.Log(n.ctx, level, "publication of a key has ended", "kind", p.Kind.String(), "key", fmt.Sprintf("%.64q", p.Key), "reason", reason)
		n.publisher.noteEnd(PublishEnd{Kind: p.Kind, Key: p.Key, At: end, Reason: reason})
		return nil, true, n.cfg.Keystore.Unpublish(p.Kind, p.Key)
	}
	if p.Kind == records.KindProvider {
		_, err := n.provideHere(p.Key)
		found := n.provideQuery(p.Key)
		return &found, n.takenBack(p), err
	}
	v := n.publishedValue(p, now)
	if err = n.cfg.Store.PutValue(now, v, n.valid.improves); errors.Is(err, records.ErrOlder) {
		v, err = n.republishNewer(now, v)
	}
	if noRoom(err) {
		err = nil
	}
	if n.takenBack(p) { // after the last write
		return nil, true, err
	}
	return &dht.Query{Kind: dht.StoreValue, Key: p.Key, Value: v}, false, err
}

// republishNewer republishes the value that is stored locally under v's key, because it is
// better than v: another publisher has sent it. Without that our copy would expire, and v,
// the older one, would be published again. It returns what is to be published: v if the
// stored value has gone meanwhile.
func (n *Node) republishNewer(now time.Time, v records.Value) (records.Value, error) {
	held, err := n.localValue(v.Key)
	if err != nil || held.Value == nil {
		return v, err
	}
	held.Received, held.Ends = now, n.valid.End(string(v.Key), held.Value)
	held.Expires = records.Earlier(v.Expires, held.Ends)
	err = n.cfg.Store.PutValue(now, held, n.valid.improves)
	if errors.Is(err, records.ErrOlder) { // a still better one has come
		err = nil
	}
	return held, err
}

// takenBack reports whether a key was unpublished while it was being republished.
// It then removes what republish has stored locally since.
func (n *Node) takenBack(p *records.Published) bool {
	if _, err := n.cfg.Keystore.Load(p.Kind, p.Key); !errors.Is(err, records.ErrNotFound) {
		return false
	}
	var err error
	if p.Kind == records.KindProvider {
		err = n.forgetProvided(p.Key)
	} else {
		err = n.forgetValue(p.Key)
	}
	if err != nil && !errors.Is(err, records.ErrNotFound) {
		n.log.Error("the copy here of a key that is not published any more could not be removed", "kind", p.Kind.String(), "err", err)
	}
	return true
}
