package runs

import (
	"errors"
	"sync/atomic"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Stats are running counters. Reading them does not scan the files.
type Stats struct {
	Records   int64 // distinct records, live or not yet removed
	Providers int64 // peers with records
	Bytes     int64 // estimated size of all stored copies

	Pending int64 // writes waiting for a commit
	Expired int64 // records removed by Expire since open
	Refused Refused

	Epochs      int
	Tables      int   // in memory
	TableCopies int64 // copies of records in tables
	Runs        int
	RunCopies   int64 // copies of records in runs
	FilterBytes int64 // memory used by filters
	Flushes     int64 // tables written out since open
	Merges      int64 // since open
}

// Refused counts the refused writes since open, by reason.
type Refused struct {
	Busy            int64 // the queue was full
	Full            int64 // the files or the disk were full
	PerKey          int64 // Options.MaxProvidersPerKey
	PerProvider     int64 // Options.MaxRecordsPerProvider
	TooManyProvider int64 // Options.MaxProviders
}

// Total returns the number of refused writes.
func (r Refused) Total() int64 {
	return r.Busy + r.Full + r.PerKey + r.PerProvider + r.TooManyProvider
}

type refusals struct {
	busy, full, perKey, perProvider, providers atomic.Int64
}

// note counts the outcome of a write.
func (r *refusals) note(o *op, err error) {
	switch {
	case o.call != nil:
	case errors.Is(err, errManyPerKey):
		r.perKey.Add(1)
	case errors.Is(err, errManyRecords):
		r.perProvider.Add(1)
	case errors.Is(err, errManyProviders):
		r.providers.Add(1)
	case errors.Is(err, ErrFull):
		r.full.Add(1)
	}
}

// copyBytes is the size of a stored copy in runs, including page overhead.
const copyBytes = recordLen + 1

// Stats returns the running counters.
func (s *Store) Stats() Stats {
	c, v := s.counts.Load(), s.view.Load()
	st := Stats{
		Records: c.records, Providers: c.providers, Epochs: c.epochs,
		Pending: int64(s.queue.len()), Expired: s.expired.Load(),
		Tables: len(v.tables), Runs: len(v.runs),
		Flushes: s.flushCount.Load(), Merges: s.mergeCount.Load(),
		Refused: Refused{
			Busy: s.refused.busy.Load(), Full: s.refused.full.Load(), PerKey: s.refused.perKey.Load(),
			PerProvider: s.refused.perProvider.Load(), TooManyProvider: s.refused.providers.Load(),
		},
	}
	for _, t := range v.tables {
		st.TableCopies += t.count.Load()
	}
	for _, r := range v.runs {
		st.RunCopies += r.records
		for i := range r.segments {
			if f := r.segments[i].filter; f != nil {
				st.FilterBytes += int64(len(f.Fingerprints))
			}
		}
	}
	st.Bytes = st.TableCopies*logEntryLen + st.RunCopies*copyBytes
	return st
}

// RecordStats returns the counters in the form of records.Store.
func (s *Store) RecordStats() (out records.Stats) {
	st := s.Stats()
	out.Records[records.KindProvider] = st.Records
	out.Bytes[records.KindProvider] = st.Bytes
	out.ExpiredRecords[records.KindProvider] = st.Expired
	out.Providers = st.Providers
	out.PendingWrites = st.Pending
	out.RefusedWrites = st.Refused.Total()
	out.Refused[records.QuotaBytes] = st.Refused.Full
	out.Refused[records.QuotaProvidersPerKey] = st.Refused.PerKey
	out.Refused[records.QuotaRecordsPerProvider] = st.Refused.PerProvider
	out.Refused[records.QuotaProviders] = st.Refused.TooManyProvider
	return out
}

// Sizes are the sizes of the files in bytes.
type Sizes struct {
	Log, Runs  int64            // lengths of the files
	Used       int64            // pages in use
	Free       int64            // pages that are reused before the files grow
	Capacities [2]disk.Capacity // space of each file for new records
}

// Sizes returns the sizes of the files as of their last commits.
func (s *Store) Sizes() Sizes {
	return Sizes{
		Log: s.log.Size(), Runs: s.runs.Size(),
		Used:       s.log.Used() + s.runs.Used(),
		Free:       s.log.Unused() + s.runs.Unused(),
		Capacities: [2]disk.Capacity{s.log.Capacity(), s.runs.Capacity()},
	}
}
