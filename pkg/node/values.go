package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ErrTTL is returned for a TTL of a value that is too short or too long.
var ErrTTL = errors.New("node: TTL out of range")

// Publish puts a value into the network, keeps a copy here, and renews all copies until
// Unpublish, after a restart too: each lives for Config.DefaultValueTTL and is sent again
// every Config.RepublishInterval. A value whose validator knows its end (see Ender) is
// published until then at the latest.
//
// It returns when the first publication is over. StoredAt is 0 if no peer could be
// reached: the value is held here, and published once a peer is there.
//
// Errors: ErrInvalidKey; what the validator of the namespace returns; records.ErrTooLarge
// for a value over Config.MaxValueSize or a key over records.MaxValueKeyLen;
// records.ErrOlder if a better value is held here; an error of the store. With
// dht.ErrBusy and an error of ctx the value is held here and published a minute later.
func (n *Node) Publish(ctx context.Context, key, value []byte) (StoreResult, error) {
	return n.publishValue(ctx, records.Published{Key: key, Value: value, TTL: n.cfg.DefaultValueTTL})
}

// PublishFor is Publish for a value that ends after ttl, here and at other peers: it is
// renewed until then, or until Unpublish. The ttl is from one second to
// Config.MaxValueTTL; ErrTTL otherwise.
func (n *Node) PublishFor(ctx context.Context, key, value []byte, ttl time.Duration) (StoreResult, error) {
	if ttl < time.Second || ttl > n.cfg.MaxValueTTL {
		return StoreResult{}, fmt.Errorf("%w: %s is not within 1s and %s", ErrTTL, ttl, n.cfg.MaxValueTTL)
	}
	until := time.Now().Add(ttl)
	return n.publishValue(ctx, records.Published{Key: key, Value: value, TTL: ttl, Until: until})
}

// PublishOnce puts a value into the network and keeps a copy here, and never renews them:
// all of them expire after Config.DefaultValueTTL. It is for values of somebody else, whose
// owner renews them. Errors are those of Publish; ErrNoAnswer if no peer could be asked,
// ErrNotTaken if none took it.
func (n *Node) PublishOnce(ctx context.Context, key, value []byte) (StoreResult, error) {
	now := time.Now()
	v, err := n.holdValue(now, &records.Published{Key: key, Value: value, TTL: n.cfg.DefaultValueTTL})
	if err != nil {
		return StoreResult{}, err
	}
	res, err := n.query(ctx, dht.Query{Kind: dht.StoreValue, Key: key, Value: v})
	return StoreResult{
		Key: key, StoredAt: res.Stats.StoredAt, Sent: res.Stats.StoreSent,
		Expires: v.Expires, Took: time.Since(now),
	}, err
}

// publishValue holds a value here and begins to publish it.
func (n *Node) publishValue(ctx context.Context, pub records.Published) (StoreResult, error) {
	pub.Kind, pub.Added = records.KindValue, time.Now()
	v, err := n.holdValue(pub.Added, &pub)
	if err != nil {
		return StoreResult{}, err
	}
	return n.startPublishing(ctx, pub, dht.Query{Kind: dht.StoreValue, Key: pub.Key, Value: v}, v.Expires)
}

// holdValue checks a value and stores our own copy of it.
func (n *Node) holdValue(now time.Time, p *records.Published) (records.Value, error) {
	if err := n.checkValue(p.Key, p.Value); err != nil {
		return records.Value{}, err
	}
	v := n.publishedValue(p, now)
	if err := n.cfg.Store.PutValue(now, v, n.valid.replaces); err != nil && !noRoom(err) {
		return records.Value{}, fmt.Errorf("node: store value: %w", err)
	}
	return v, nil
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

// startPublishing notes a published key durably, schedules it and publishes it now.
func (n *Node) startPublishing(ctx context.Context, pub records.Published, q dht.Query, expires time.Time) (StoreResult, error) {
	now := time.Now()
	pub.Due = now.Add(dht.PublishRetry) // until it is done: a crash publishes it again
	if err := n.cfg.Keystore.Publish(pub); err != nil {
		return StoreResult{}, fmt.Errorf("node: publish: %w", err)
	}
	it := republishItem(uint8(pub.Kind), pub.Key)
	end, _ := n.end(&pub)
	q.Publish = &it
	n.unannounced.add(it)
	_ = n.do(func(now time.Time, m *dht.Machine) { // once closed, the query says so
		due := records.Earlier(now.Add(n.republishInterval()), end)
		m.Scheduled(now, it, due, false)
	})
	res, err := n.query(ctx, q)
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

// Unpublish stops renewing a value and forgets the copy here; copies at other peers live
// until they expire. ErrNotFound if it was not published here.
func (n *Node) Unpublish(_ context.Context, key []byte) error {
	if err := n.stopPublishing(records.KindValue, key); err != nil {
		return err
	}
	if err := n.cfg.Store.DeleteValue(key); err != nil && !errors.Is(err, records.ErrNotFound) {
		return fmt.Errorf("node: unpublish: %w", err)
	}
	return nil
}

// stopPublishing takes a key off the schedule, durably. ErrNotFound if it is not there.
func (n *Node) stopPublishing(kind records.Kind, key []byte) error {
	err := n.cfg.Keystore.Unpublish(kind, key)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("node: unpublish: %w", err)
	}
	it := republishItem(uint8(kind), key)
	n.unannounced.forget(it)
	return n.ask(func(_ time.Time, m *dht.Machine) { m.Unscheduled(it) })
}

// Get finds the best value under key: here and at the peers nearest to it. It ends early
// when quorum holders of one value have answered (0: 16, 1: the first will do).
//
// Errors: ErrInvalidKey, ErrNegative; ErrNotFound if nobody has a valid value, ErrNoAnswer
// if nobody could be asked; an error of the store.
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
	q := dht.Query{Kind: dht.FindValue, Key: key, Count: quorum, Value: local}
	res, err := n.follow(ctx, q, func(p dht.Progress) bool {
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
