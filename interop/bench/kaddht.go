package main

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/internal/workload"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The layout of go-libp2p-kad-dht's provider manager: one row for each record,
//
//	/providers/<base32 of the multihash>/<base32 of the peer ID>
//
// whose value is the time of the announcement as a varint of nanoseconds. Its buffer of
// 256 writes and its cache of 256 keys, both in memory, are left out: here every batch is
// written durably.
const providersPrefix = "/providers/"

// collectBatch is how many expired rows the provider manager removes at once.
const collectBatch = 256

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// keyPrefix is the prefix of the rows of a key, including the last slash.
func keyPrefix(key []byte) string { return providersPrefix + encoding.EncodeToString(key) + "/" }

func rowKey(a *workload.ProviderRecord) string {
	return keyPrefix(a.Key) + encoding.EncodeToString([]byte(a.Provider.ID))
}

func rowValue(now time.Time) []byte { return binary.AppendVarint(nil, now.UnixNano()) }

// errRow is returned for a row that does not parse.
var errRow = errors.New("row does not parse")

// expired reports whether a row's record is older than 48 hours.
func expired(value []byte, now time.Time) (bool, error) {
	at, n := binary.Varint(value)
	if n <= 0 {
		return false, errRow
	}
	return now.Sub(time.Unix(0, at)) >= records.MaxTTL, nil
}

// live reports whether a row is a live record. It decodes the peer, as an answer would.
func live(key string, value []byte, now time.Time) (bool, error) {
	if gone, err := expired(value, now); gone || err != nil {
		return false, err
	}
	_, err := encoding.DecodeString(key[strings.LastIndexByte(key, '/')+1:])
	return err == nil, err
}

// row is a queued write.
type row struct {
	key   string
	value []byte
}

// pending gives a store a commit window: queued writes become one batch every
// workload.Window, as in the node's own store.
type pending struct {
	commit func([]row) error
	stop   chan struct{}
	done   chan struct{}

	mu   sync.Mutex
	rows []row
	err  error // of the last batch that failed
}

func newPending(commit func([]row) error) *pending {
	p := &pending{commit: commit, stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *pending) run() {
	defer close(p.done)
	t := time.NewTicker(workload.Window)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_ = p.flush() // kept for the next call
		case <-p.stop:
			return
		}
	}
}

func (p *pending) add(now time.Time, a *workload.ProviderRecord) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = append(p.rows, row{rowKey(a), rowValue(now)})
	return p.err
}

func (p *pending) flush() error {
	p.mu.Lock()
	rows := p.rows
	p.rows = nil
	p.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	err := p.commit(rows)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	return err
}

// close ends the window and commits the queued writes.
func (p *pending) close() error {
	close(p.stop)
	<-p.done
	return p.flush()
}
