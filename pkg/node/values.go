package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// ErrTTL is returned for a value's TTL that is too short or too long.
var ErrTTL = errors.New("TTL out of range")

// Publish stores a value in the network and in this node's own store, and republishes it
// every Config.RepublishInterval until Unpublish, also after a restart. Each copy has a
// lifetime of Config.DefaultValueTTL. If the validator is an Ender, publication stops when
// the value ends.
//
// Publish returns when the first publication is over. If no peer could be reached, or none
// stored the value, StoredAt is 0 and the error nil: the node tries again.
//
// Errors: ErrInvalidKey; those of the namespace's validator; records.ErrTooLarge for a
// value over Config.MaxValueSize or a key over records.MaxValueKeyLen; records.ErrOlder if
// the own store has a better value; those of the store. After dht.ErrBusy or an error of
// ctx the value is scheduled: its first publication is due after dht.PublishRetry.
func (n *Node) Publish(ctx context.Context, key, value []byte) (StoreResult, error) {
	return n.publishValue(ctx, records.Published{Key: key, Value: value, TTL: n.cfg.DefaultValueTTL})
}

// PublishFor is Publish for a value that expires after ttl, here and at other peers. It is
// republished until then or until Unpublish. It returns ErrTTL unless ttl is from one
// second to Config.MaxValueTTL.
func (n *Node) PublishFor(ctx context.Context, key, value []byte, ttl time.Duration) (StoreResult, error) {
	if ttl < time.Second || ttl > n.cfg.MaxValueTTL {
		return StoreResult{}, fmt.Errorf("%w: %s is not within 1s and %s", ErrTTL, ttl, n.cfg.MaxValueTTL)
	}
	until := time.Now().Add(ttl)
	return n.publishValue(ctx, records.Published{Key: key, Value: value, TTL: ttl, Until: until})
}

// PublishOnce stores a value in the network and in this node's own store and does not
// republish it: all copies expire after Config.DefaultValueTTL. It is for values that
// their owner republishes. Errors: those of Publish, ErrNoAnswer if no peer answered, and
// ErrNotTaken if none stored the value.
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

// publishValue stores a value here and starts to publish it.
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
		return records.Value{}, fmt.Errorf("store value: %w", err)
	}
	return v, nil
}

// noRoom reports whether the store refused our own copy of a record for lack of capacity.
// Such a record is published all the same: other peers have capacity.
func noRoom(err error) bool {
	return errors.Is(err, records.ErrFull) || errors.Is(err, records.ErrQuota)
}

func (n *Node) checkValue(key, value []byte) error {
	switch {
	case len(value) > n.cfg.MaxValueSize:
		return fmt.Errorf("a value of %d bytes, at most %d are allowed: %w", len(value), n.cfg.MaxValueSize, records.ErrTooLarge)
	case len(key) > records.MaxValueKeyLen:
		return fmt.Errorf("a key of %d bytes, at most %d are allowed: %w", len(key), records.MaxValueKeyLen, records.ErrTooLarge)
	}
	if err := n.valid.Validate(string(key), value); err != nil {
		return fmt.Errorf("store value: %w", err)
	}
	return nil
}

// publishedValue returns the value record of one publication at now.
func (n *Node) publishedValue(p *records.Published, now time.Time) records.Value {
	v := records.Value{Key: p.Key, Value: p.Value, Received: now, Expires: now.Add(p.TTL)}
	v.Ends = n.valid.End(string(p.Key), p.Value)
	if !p.Until.IsZero() {
		v.Expires = p.Until
	}
	v.Expires = records.Earlier(v.Expires, v.Ends)
	return v
}

// startPublishing saves a published key durably, schedules it and publishes it now.
func (n *Node) startPublishing(ctx context.Context, pub records.Published, q dht.Query, expires time.Time) (StoreResult, error) {
	now := time.Now()
	pub.Due = now.Add(dht.PublishRetry) // so that it is published again after a crash
	if err := n.cfg.Keystore.Publish(pub); err != nil {
		return StoreResult{}, err // the keystore has named the operation
	}
	it := republishItem(uint8(pub.Kind), pub.Key)
	end, _ := n.end(&pub)
	q.Publish = &it
	n.unannounced.add(it)
	res, err := n.publish(ctx, q, end)
	sr := StoreResult{
		Key: pub.Key, StoredAt: res.Stats.StoredAt, Sent: res.Stats.StoreSent,
		Expires: expires, Took: time.Since(now),
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, dht.ErrBusy) && !errors.Is(err, ErrClosed) {
		n.log.Debug("publication found no peer; it will be tried again", "err", err)
		err = nil // the schedule tries again
	}
	return sr, err
}

// publish schedules a key and runs its first publication. Both begin in one turn of the
// loop, so that the schedule does not publish the key as well.
func (n *Node) publish(ctx context.Context, q dht.Query, end time.Time) (dht.Result, error) {
	w, id, err := n.begin(q.Kind, func(now time.Time, m *dht.Machine) (dht.QueryID, error) {
		m.Scheduled(now, *q.Publish, records.Earlier(now.Add(n.republishInterval()), end), false)
		id, err := m.Start(now, q)
		if err != nil { // dht.ErrBusy
			m.Scheduled(now, *q.Publish, now.Add(dht.PublishRetry), false)
		}
		return id, err
	})
	if err != nil {
		return dht.Result{}, err
	}
	return n.wait(ctx, id, w, resultOnly)
}

// Unpublish stops republishing a value and removes the copy here; copies at other peers live
// until they expire. ErrNotFound if it was not published here.
//
// After an error of the store it may be called again. It removes the copy before it stops
// republishing, and once more afterwards, because republish may have stored it in between. If
// only that second removal fails, the value is not published any more, the next call returns
// ErrNotFound, and the copy stays until it expires: the node cannot tell it from a value that
// it stores for others.
func (n *Node) Unpublish(_ context.Context, key []byte) error {
	_, err := n.cfg.Keystore.Load(records.KindValue, key)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("unpublish: %w", err)
	}
	if err := n.forgetValue(key); err != nil { // first: the key is still published if this fails
		return err
	}
	if err := n.stopPublishing(records.KindValue, key); err != nil {
		return err
	}
	return n.forgetValue(key) // republish may have stored it again in between
}

// forgetValue removes the copy here, if there is one.
func (n *Node) forgetValue(key []byte) error {
	err := n.cfg.Store.DeleteValue(key)
	if errors.Is(err, records.ErrNotFound) {
		return nil
	}
	return err
}

// stopPublishing removes a key from the keystore, durably, and from the schedule. It
// returns ErrNotFound if the keystore does not have it.
func (n *Node) stopPublishing(kind records.Kind, key []byte) error {
	err := n.cfg.Keystore.Unpublish(kind, key)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return ErrNotFound
	case err != nil:
		return err
	}
	it := republishItem(uint8(kind), key)
	n.unannounced.forget(it)
	return n.ask(func(_ time.Time, m *dht.Machine) { m.Unscheduled(it) })
}

// Get finds the best value under key in this node's store and at the peers nearest to the
// key. It returns early once quorum peers have answered with the same value: 0 means 16, 1
// takes the first valid value.
//
// Errors: ErrInvalidKey; ErrNegative; ErrNotFound if no peer has a valid value;
// ErrNoAnswer; those of the store.
func (n *Node) Get(ctx context.Context, key []byte, quorum int) (ValueResult, error) {
	return n.search(ctx, key, quorum, nil)
}

// search is Get that also calls better with each value that is better than the one before,
// until it returns false.
func (n *Node) search(ctx context.Context, key []byte, quorum int, better func(records.Value) bool) (ValueResult, error) {
	if quorum < 0 {
		return ValueResult{}, fmt.Errorf("%w: quorum is %d", ErrNegative, quorum)
	}
	if _, ok := n.valid.of(string(key)); !ok {
		return ValueResult{}, fmt.Errorf("%w: %.64q is in no namespace this node accepts (%s)", ErrInvalidKey, key, n.valid.names())
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

// localValue returns this node's copy of the value; the zero Value if it has none or it is
// no longer valid.
func (n *Node) localValue(key []byte) (records.Value, error) {
	now := time.Now()
	v, err := n.cfg.Store.Value(now, key)
	if err != nil && !errors.Is(err, records.ErrNotFound) {
		return v, fmt.Errorf("get: %w", err)
	}
	if err == nil {
		n.judge(&v)
	}
	if err != nil || !v.Live(now) || !n.valid.stillValid(string(key), v.Value) {
		return records.Value{}, nil
	}
	return v, nil
}

// judge lowers the expiry of a stored value to its own end, and to zero if its namespace
// is no longer accepted. Values received since the start were stored that way; older ones
// may come from a version that ignored the end of a value.
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

// correctLocal replaces this node's copy by a better value that was found.
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
		n.log.Warn("better value could not be stored", "err", err)
	}
}
