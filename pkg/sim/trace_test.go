package sim

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/internal/disktest"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// recorded adds events of each kind to the trace without running them.
func recorded(w *World) {
	w.calls.add(call{from: 3, to: 12, msg: &wire.Message{Type: wire.FindNode}})
	w.calls.add(call{from: 12, to: 3, msg: &wire.Message{Type: wire.AddProvider}})
	for k := range kind(len(kindNames)) {
		var q queue
		q.push(time.Duration(k)*1500*time.Millisecond, k, uint32(k)%2)
		e := q.pop()
		w.record(&e)
	}
}

const recordedText = `0.000000000 wake 0
1.500000000 request 12>3 ADD_PROVIDER
3.000000000 reply 3>12 FIND_NODE
4.500000000 failure 12>3 ADD_PROVIDER
6.000000000 start 0
7.500000000 warm 1
9.000000000 stop 0
10.500000000 arrival 1
12.000000000 step 0
13.500000000 phase 1
15.000000000 sample 0
`

func TestTraceIsALineForEachEvent(t *testing.T) {
	var out bytes.Buffer
	w := &World{trace: trace{fingerprint: fnvOffset}}
	w.TraceTo(&out)
	recorded(w)
	require.NoError(t, w.FinishTrace())
	require.Equal(t, recordedText, out.String())
}

// Each way in which a run can differ from its trace, and its error.
func TestCompareSaysTheLine(t *testing.T) {
	for name, tt := range map[string]struct{ was, want string }{
		"the same":      {recordedText, ""},
		"another event": {strings.Replace(recordedText, "reply", "start", 1), `line 3 is "3.000000000 reply 3>12 FIND_NODE", was "3.000000000 start 3>12 FIND_NODE"`},
		"the first":     {"0.0 wake 0\n" + recordedText, `line 1 is "0.000000000 wake 0", was "0.0 wake 0"`},
		"it is empty":   {"", `line 1 is "0.000000000 wake 0", was ""`},
		"it ends early": {strings.TrimSuffix(recordedText, "15.000000000 sample 0\n"), `line 11 is "15.000000000 sample 0", was ""`},
		"it is cut":     {strings.TrimSuffix(recordedText, "0\n"), `line 11 is "15.000000000 sample 0", was "15.000000000 sample "`},
		"it goes on":    {recordedText + "more\n", "it ends after line 11, the trace does not"},
		"by a newline":  {recordedText + "\n", "it ends after line 11, the trace does not"},
	} {
		w := &World{}
		w.CompareTo(strings.NewReader(tt.was))
		recorded(w)
		err := w.FinishTrace()
		if tt.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, ErrDiffers, name)
		require.ErrorContains(t, err, tt.want, name)
	}
	w := &World{}
	w.CompareTo(strings.NewReader(strings.Repeat("x", 1<<17)))
	recorded(w)
	require.Error(t, w.FinishTrace(), "no trace has lines of that length")
}

// A run may be compared and traced at once.
func TestCompareAndTraceAtOnce(t *testing.T) {
	for _, was := range []string{recordedText, strings.Replace(recordedText, "12>3", "12>4", 1)} {
		var out bytes.Buffer
		w := &World{}
		w.TraceTo(&out)
		w.CompareTo(strings.NewReader(was))
		recorded(w)
		if was == recordedText {
			require.NoError(t, w.FinishTrace())
			require.Equal(t, was, out.String())
			continue
		}
		require.ErrorIs(t, w.FinishTrace(), ErrDiffers)
		require.Equal(t, 2, strings.Count(out.String(), "\n"), "up to the event that differs")
	}
}

func TestTraceOnAFullDisk(t *testing.T) {
	w := &World{}
	w.TraceTo(&disktest.Full{Space: 10})
	recorded(w)
	require.ErrorIs(t, w.FinishTrace(), syscall.ENOSPC, "the buffer is written at the end")
	w = &World{}
	w.TraceTo(&disktest.Full{Space: 1 << 16})
	for range 500 {
		w.calls = calls{}
		recorded(w)
	}
	require.ErrorIs(t, w.trace.err, syscall.ENOSPC, "or when it is full")
	require.ErrorIs(t, w.FinishTrace(), syscall.ENOSPC)
}

// The fingerprint is a function of the events, in their order, whether or not they are
// written.
func TestFingerprint(t *testing.T) {
	print := func(events ...event) uint64 {
		w := &World{trace: trace{fingerprint: fnvOffset}}
		w.calls.add(call{from: 1, to: 2})
		w.calls.add(call{from: 2, to: 1})
		for i := range events {
			w.record(&events[i])
		}
		return w.Fingerprint()
	}
	a, b := event{at: 1, order: uint64(evStart), arg: 5}, event{at: 2, order: uint64(evStart), arg: 5}
	call0, call1 := event{at: 1, order: uint64(evReply)}, event{at: 1, order: uint64(evReply), arg: 1}
	seen := map[uint64]string{}
	for name, got := range map[string]uint64{
		"nothing": print(), "a": print(a), "b": print(b), "a b": print(a, b), "b a": print(b, a),
		"another node": print(event{at: 1, order: uint64(evStart), arg: 6}),
		"another kind": print(event{at: 1, order: uint64(evStop), arg: 5}),
		"a call":       print(call0), "another call": print(call1),
	} {
		require.Empty(t, seen[got], name)
		seen[got] = name
	}
	require.Equal(t, print(a), print(event{at: 1, order: 77<<8 | uint64(evStart), arg: 5}), "the running number is not part of it")
	between := func(from, to uint32) uint64 {
		w := &World{}
		w.calls.add(call{from: from, to: to})
		w.record(&call0)
		return w.Fingerprint()
	}
	require.NotEqual(t, between(1, 2), between(2, 1), "who asks and who is asked is part of it")
	require.NotEqual(t, between(1, 2), between(1, 3))

	silent, traced := &World{}, &World{}
	traced.TraceTo(&bytes.Buffer{})
	recorded(silent)
	recorded(traced)
	require.Equal(t, silent.Fingerprint(), traced.Fingerprint())
}

// The constants and the order of FNV-1a, on bytes.
func TestFingerprintIsFNV(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		h := fnv.New64a()
		h.Write(data)
		got := trace{fingerprint: fnvOffset}
		for _, b := range data {
			got.mix(uint64(b))
		}
		require.Equal(t, h.Sum64(), got.fingerprint)
	})
}

func TestAppendSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Duration(rapid.Int64Range(0, int64(longest)).Draw(t, "at"))
		want := fmt.Sprintf("x%d.%09d", at/time.Second, at%time.Second)
		require.Equal(t, want, string(appendSeconds([]byte("x"), at)))
	})
}
