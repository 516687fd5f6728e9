package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// diskObserver counts the node's disk work. Safe for concurrent use.
type diskObserver struct {
	saved      prometheus.Gauge
	saving     prometheus.Observer
	peers      prometheus.Gauge
	saveFailed prometheus.Counter

	expired      prometheus.Gauge
	expiring     prometheus.Observer
	removed      [records.NumKinds]prometheus.Counter
	expireFailed prometheus.Counter
}

var _ node.HousekeepingObserver = (*diskObserver)(nil)

func newDiskObserver(r registrar) *diskObserver {
	h := &diskObserver{
		saved:        r.gauge("snapshot_last_success_timestamp_seconds", "Time when the routing table was last saved; 0: not since the start."),
		saving:       r.histogram("snapshot_duration_seconds", "Duration of saving a snapshot of the routing table.", diskBuckets),
		peers:        r.gauge("snapshot_peers", "Peers in the last snapshot saved."),
		saveFailed:   r.counter("snapshot_failures_total", "Snapshots that could not be saved."),
		expired:      r.gauge("expiry_last_success_timestamp_seconds", "Time when expired records were last removed; 0: not since the start."),
		expiring:     r.histogram("expiry_duration_seconds", "Duration of one run that removes expired records.", diskBuckets),
		expireFailed: r.counter("expiry_failures_total", "Failed runs that remove expired records."),
	}
	removed := r.counterVec("records_expired_total", "Records removed because they had expired.", "kind")
	for k := range h.removed {
		h.removed[k] = removed.WithLabelValues(records.Kind(k).String())
	}
	return h
}

// Snapshot implements node.HousekeepingObserver.
func (h *diskObserver) Snapshot(took time.Duration, peers int, err error) {
	h.saving.Observe(took.Seconds())
	if err != nil {
		h.saveFailed.Inc()
		return
	}
	h.peers.Set(float64(peers))
	setNow(h.saved)
}

// Expired implements node.HousekeepingObserver. A failed run may have removed records too.
func (h *diskObserver) Expired(took time.Duration, removed records.Expired, err error) {
	h.expiring.Observe(took.Seconds())
	for k, n := range removed.Records {
		h.removed[k].Add(float64(n))
	}
	if err != nil {
		h.expireFailed.Inc()
		return
	}
	setNow(h.expired)
}

// storageOps are the operations that package storage names in its errors.
var storageOps = []string{
	"add_provider", "commit", "datastore_batch", "datastore_check", "datastore_gc", "datastore_get", "datastore_put",
	"datastore_query", "datastore_ttl", "datastore_txn", "delete_value", "done", "expire", "flush", "has_provider", "held", "load", "load_snapshot",
	"note_node", "providers", "publish", "put_value", "range", "remove_provider", "save_snapshot", "sizes", "unpublish", "value",
}

// storageObserver counts the work of the database. Safe for concurrent use.
type storageObserver struct {
	commits prometheus.Observer
	batch   prometheus.Observer
	errors  map[string]prometheus.Counter
	other   prometheus.Counter
}

var _ storage.Observer = (*storageObserver)(nil)

func newStorageObserver(r registrar) *storageObserver {
	s := &storageObserver{
		commits: r.histogram("db_commit_duration_seconds", "Duration of a write transaction, including fsync.", diskBuckets),
		batch:   r.histogram("db_batch_records", "Writes made durable by one transaction.", batchBuckets),
		errors:  make(map[string]prometheus.Counter),
	}
	errors := r.counterVec("db_errors_total", "Operations that failed because of the database itself: no space, damage, a failed fsync.", "op")
	for _, op := range storageOps {
		s.errors[op] = errors.WithLabelValues(op)
	}
	s.other = errors.WithLabelValues("other")
	return s
}

// Committed implements storage.Observer.
func (s *storageObserver) Committed(writes int, took time.Duration) {
	s.commits.Observe(took.Seconds())
	s.batch.Observe(float64(writes))
}

// StorageError implements storage.Observer.
func (s *storageObserver) StorageError(op string, _ error) {
	if c, ok := s.errors[op]; ok {
		c.Inc()
		return
	}
	s.other.Inc()
}
