package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// Store puts a value into the network and keeps a copy here. Without a ttl it
// lives for DefaultValueTTL and is republished until Unpublish; with one it ends
// after ttl, republished until then. StoredAt may be 0 when nobody could be
// reached: the value is held here and published as soon as somebody is there.
//
// Errors: ErrInvalidKey and the validator's, records.ErrTooLarge,
// records.ErrOlder if a better value is held here, dht.ErrBusy (held here, and
// published a minute later), a store's error.
func (n *Node) Store(ctx context.Context, key, value []byte, ttl time.Duration) (StoreResult, error) {
	now := time.Now()
	pub := records.Published{Kind: records.KindValue, Key: key, Value: value, TTL: n.cfg.DefaultValueTTL, Added: now}
	if ttl != 0 {
		if ttl < time.Second || ttl > n.cfg.MaxValueTTL {
			return StoreResult{}, fmt.Errorf("node: a TTL of %s is not within 1s and %s", ttl, n.cfg.MaxValueTTL)
		}
		pub.TTL, pub.Until = ttl, now.Add(ttl)
	}
	if err := n.checkValue(key, value); err != nil {
		return StoreResult{}, err
	}
	v := n.publishedValue(&pub, now)
	if err := n.cfg.Store.PutValue(now, v, n.valid.replaces); err != nil && !noRoom(err) {
		return StoreResult{}, fmt.Errorf("node: store value: %w", err)
	}
	return n.publish(ctx, pub, dht.Query{Kind: dht.StoreValue, Key: key, Value: v}, v.Expires)
}

// StoreOnce puts a value of somebody else into the network and keeps a copy here,
// for DefaultValueTTL. It is not republished: that is its owner's business. Errors
// are those of Store; ErrNoAnswer if nobody could be asked, ErrNotTaken.
func (n *Node) StoreOnce(ctx context.Context, key, value []byte) (StoreResult, error) {
	if err := n.checkValue(key, value); err != nil {
		return StoreResult{}, err
	}
	now := time.Now()
	v := n.publishedValue(&records.Published{Key: key, Value: value, TTL: n.cfg.DefaultValueTTL}, now)
	if err := n.cfg.Store.PutValue(now, v, n.valid.replaces); err != nil && !noRoom(err) {
		return StoreResult{}, fmt.Errorf("node: store value: %w", err)
	}
	res, err := n.query(ctx, dht.Query{Kind: dht.StoreValue, Key: key, Value: v}, nil, nil)
	return StoreResult{
		Key: key, StoredAt: res.Stats.StoredAt, Sent: res.Stats.StoreSent,
		Expires: v.Expires, Took: time.Since(now),
	}, err
}

// noRoom reports whether a store refused our own copy of a record for want of room.
// That is no reason not to publish it: others have room.
func noRoom(err error) bool {
	return errors.Is(err, records.ErrFull) || errors.Is(err, records.ErrQuota)
}

func (n *Node) checkValue(key, value []byte) error {
	switch {
	case len(value) > n.cfg.MaxValueSize:
		return fmt.Errorf("node: a value of %d bytes, at most %d are allowed: %w", len(value), n.cfg.MaxValueSize, records.ErrTooLarge)
	case len(key) > records.MaxValueKeyLen:
		return fmt.Errorf("node: a key of %d bytes, at most %d are allowed: %w", len(key), records.MaxValueKeyLen, records.ErrTooLarge)
	}
	if err := n.valid.Validate(string(key), value); err != nil {
		return fmt.Errorf("node: store value: %w", err)
	}
	return nil
}

// publishedValue is the value record of one publication at now.
func (n *Node) publishedValue(p *records.Published, now time.Time) records.Value {
	v := records.Value{Key: p.Key, Value: p.Value, Received: now, Expires: now.Add(p.TTL)}
	v.Ends = n.valid.End(string(p.Key), p.Value)
	if !p.Until.IsZero() {
		v.Expires = p.Until
	}
	v.Expires = records.Earlier(v.Expires, v.Ends)
	return v
}

// publish notes a published key durably, schedules it and publishes it now.
func (n *Node) publish(ctx context.Context, pub records.Published, q dht.Query, expires time.Time) (StoreResult, error) {
	now := time.Now()
	pub.Due = now.Add(dht.PublishRetry) // until it is done: a crash publishes it again
	if err := n.cfg.Keystore.Publish(pub); err != nil {
		return StoreResult{}, fmt.Errorf("node: publish: %w", err)
	}
	it := republishItem(uint8(pub.Kind), pub.Key)
	end, _ := n.end(&pub)
	q.Publish = &it
	n.untold.add(it)
	res, err := n.query(ctx, q, func(now time.Time, m *dht.Machine) {
		due := records.Earlier(now.Add(n.republishInterval()), end)
		m.Scheduled(now, it, due, false)
	}, nil)
	sr := StoreResult{
		Key: pub.Key, StoredAt: res.Stats.StoredAt, Sent: res.Stats.StoreSent,
		Expires: expires, Took: time.Since(now),
	}
	switch {
	case errors.Is(err, dht.ErrBusy): // nothing was begun
		_ = n.do(func(now time.Time, m *dht.Machine) { m.Scheduled(now, it, now.Add(dht.PublishRetry), false) })
	case err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed):
		n.log.Debug("publication found no peer, it will be tried again", "err", err)
		err = nil // held here; the schedule goes on trying
	}
	return sr, err
}

// Unpublish stops republishing a value and forgets the copy here; copies at other
// peers live until they expire. ErrNotFound if it was not published here.
func (n *Node) Unpublish(_ context.Context, key []byte) error {
	if err := n.unpublish(records.KindValue, key); err != nil {
		return err
	}
	if err := n.cfg.Store.DeleteValue(key); err != nil && !errors.Is(err, records.ErrNotFound) {
		return fmt.Errorf("node: unpublish: %w", err)
	}
	return nil
}

func (n *Node) unpublish(kind records.Kind, key []byte) error {
	err := n.cfg.Keystore.Unpublish(kind, key)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("node: unpublish: %w", err)
	}
	it := republishItem(uint8(kind), key)
	n.untold.forget(it)
	return n.ask(func(_ time.Time, m *dht.Machine) { m.Unscheduled(it) })
}

// Get finds the best value under key: here and at the peers nearest to it. It
// ends early when quorum holders of one value have answered (0: 16, 1: the first
// will do). ErrNotFound if nobody has one, ErrNoAnswer if nobody could be asked.
func (n *Node) Get(ctx context.Context, key []byte, quorum int) (ValueResult, error) {
	return n.search(ctx, key, quorum, nil)
}

// search is Get that also tells of each better value as it comes.
func (n *Node) search(ctx context.Context, key []byte, quorum int, better func(records.Value) bool) (ValueResult, error) {
	if quorum < 0 {
		return ValueResult{}, fmt.Errorf("%w: quorum is %d", ErrNegative, quorum)
	}
	if _, ok := n.valid.of(string(key)); !ok {
		return ValueResult{}, fmt.Errorf("%w: %.64q is in no namespace this network takes (%s)", ErrInvalidKey, key, n.valid.names())
	}
	local, err := n.localValue(key)
	if err != nil {
		return ValueResult{}, err
	}
	if local.Value != nil && better != nil && !better(local) {
		return ValueResult{}, nil
	}
	if local.Value != nil && quorum == 1 {
		return ValueResult{Key: key, Value: local.Value, Expires: local.Expires, Responders: 1}, nil
	}
	res, err := n.query(ctx, dht.Query{Kind: dht.FindValue, Key: key, Count: quorum, Value: local}, nil, func(p dht.Progress) bool {
		return better == nil || p.Value.Value == nil || better(p.Value)
	})
	if err != nil || res.Value.Value == nil {
		return ValueResult{}, err
	}
	n.correctLocal(local, res.Value)
	return ValueResult{Key: key, Value: res.Value.Value, Expires: res.Value.Expires, Responders: res.Responders}, nil
}

// localValue returns the copy here; one that is not valid any more counts as none.
func (n *Node) localValue(key []byte) (records.Value, error) {
	now := time.Now()
	v, err := n.cfg.Store.Value(now, key)
	if err != nil && !errors.Is(err, records.ErrNotFound) {
		return v, fmt.Errorf("node: get: %w", err)
	}
	if err == nil {
		n.judge(&v)
	}
	if err != nil || !v.Live(now) || !n.valid.stands(string(key), v.Value) {
		return records.Value{}, nil
	}
	return v, nil
}

// judge lowers the expiry of a stored value to its own end, and to nothing if its
// namespace is not taken any more. What this process has received was stored so; what
// was there before may be from a version that did not look at a value's end.
func (n *Node) judge(v *records.Value) {
	if !v.Received.Before(n.started) {
		return
	}
	key := string(v.Key)
	if _, ok := n.valid.of(key); !ok {
		v.Expires = time.Time{}
		return
	}
	v.Expires = records.Earlier(v.Expires, n.valid.End(key, v.Value))
}

// correctLocal replaces the copy here by a better one that was found.
func (n *Node) correctLocal(local, best records.Value) {
	if local.Value == nil || string(local.Value) == string(best.Value) {
		return
	}
	now := time.Now()
	best.Key = local.Key
	if latest := now.Add(n.cfg.MaxValueTTL); best.Expires.After(latest) {
		best.Expires = latest
	}
	best.Ends = n.valid.End(string(best.Key), best.Value)
	err := n.cfg.Store.PutValue(now, best, n.valid.improves)
	if err != nil && !errors.Is(err, records.ErrOlder) && !errors.Is(err, records.ErrExpired) {
		n.log.Warn("a better value could not be stored", "err", err)
	}
}
