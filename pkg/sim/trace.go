package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// trace is the log of a run: a line for each event, and a fingerprint of all events. The
// same options and scenario give the same bytes on every machine.
type trace struct {
	fingerprint uint64 // FNV-1a of the numbers of each event
	out         *bufio.Writer
	was         *bufio.Reader // the earlier trace to compare with
	line        []byte
	lines       int
	err         error
}

// ErrDiffers is returned when a run does not repeat the trace it is compared with.
var ErrDiffers = errors.New("the run differs from the trace")

// TraceTo writes the trace to out; call FinishTrace after the run.
func (w *World) TraceTo(out io.Writer) { w.trace.out = bufio.NewWriterSize(out, 1<<16) }

// CompareTo compares the run with an earlier trace; call FinishTrace after the run.
func (w *World) CompareTo(was io.Reader) { w.trace.was = bufio.NewReaderSize(was, 1<<16) }

// FinishTrace returns the first error of writing or comparing.
func (w *World) FinishTrace() error {
	t := &w.trace
	if t.out != nil {
		if err := t.out.Flush(); t.err == nil {
			t.err = err
		}
	}
	if t.was != nil && t.err == nil {
		if _, err := t.was.ReadByte(); err == nil {
			t.err = fmt.Errorf("%w: it ends after line %d, the trace does not", ErrDiffers, t.lines)
		}
	}
	return t.err
}

// Fingerprint identifies the run up to now.
func (w *World) Fingerprint() uint64 { return w.trace.fingerprint }

const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

func (t *trace) mix(x uint64) { t.fingerprint = (t.fingerprint ^ x) * fnvPrime }

// record adds an event to the trace before the event happens.
func (w *World) record(e *event) {
	t := &w.trace
	k := e.kind()
	t.mix(uint64(e.at))
	t.mix(uint64(k)<<32 | uint64(e.arg))
	call := k == evRequest || k == evReply || k == evFailure
	if call {
		c := &w.calls.list[e.arg]
		t.mix(uint64(c.from)<<32 | uint64(c.to))
	}
	if (t.out == nil && t.was == nil) || t.err != nil {
		return
	}
	t.line = appendSeconds(t.line[:0], e.at)
	t.line = append(t.line, ' ')
	t.line = append(t.line, kindNames[k]...)
	t.line = append(t.line, ' ')
	if call {
		t.line = w.calls.list[e.arg].appendTo(t.line)
	} else {
		t.line = strconv.AppendUint(t.line, uint64(e.arg), 10)
	}
	t.line = append(t.line, '\n')
	t.write()
}

// appendTo writes a call as FROM>TO TYPE.
func (c *call) appendTo(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(c.from), 10)
	dst = append(dst, '>')
	dst = strconv.AppendUint(dst, uint64(c.to), 10)
	dst = append(dst, ' ')
	return append(dst, c.msg.Type.String()...)
}

func appendSeconds(dst []byte, at time.Duration) []byte {
	dst = strconv.AppendInt(dst, int64(at/time.Second), 10)
	dst = append(dst, '.')
	ns := strconv.AppendInt(nil, int64(at%time.Second)+1e9, 10)
	return append(dst, ns[1:]...)
}

func (t *trace) write() {
	t.lines++
	if t.out != nil {
		_, t.err = t.out.Write(t.line)
	}
	if t.was != nil && t.err == nil {
		t.err = t.compare()
	}
}

// compare reads the next line of the earlier trace and compares it with the current line.
func (t *trace) compare() error {
	was, err := t.was.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(was) != string(t.line) {
		return fmt.Errorf("%w: line %d is %q, was %q", ErrDiffers, t.lines, chomp(t.line), chomp(was))
	}
	return nil
}

func chomp(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		return line[:n-1]
	}
	return line
}
