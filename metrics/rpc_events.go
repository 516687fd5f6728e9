package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// numTypes is the number of request types, plus one at the end for unknown types.
const numTypes = wire.NumTypes + 1

// reasonOther replaces every reason that is not in knownReasons.
const reasonOther = rpc.ReasonOther

// knownReasons are all values of the label reason. Others are counted as "other".
var knownReasons = slices.Compact(slices.Sorted(slices.Values(append([]string{
	reasonOther, rpc.ReasonClosed, rpc.ReasonUnreachable, rpc.ReasonUnsupported, rpc.ReasonEnded, rpc.ReasonReplyType,
	rpc.ReasonTooLarge, rpc.ReasonMalformed, rpc.ReasonEmpty, rpc.ReasonUnknownType, rpc.ReasonRefused,
	rpc.ReasonStreams, rpc.ReasonIdle, rpc.ReasonMemory, rpc.ReasonRate,
}, node.RejectReasons()...))))

// inboundReasons are the expected reasons by request type; the last type applies before the
// request is known. Other reasons appear when they first occur.
var inboundReasons = [numTypes][]string{
	wire.PutValue: {
		node.ReasonNoKey, node.ReasonLongKey, node.ReasonNoRecord, node.ReasonMismatch, rpc.ReasonTooLarge, node.ReasonNamespace, node.ReasonInvalid,
		node.ReasonOlder, node.ReasonQuota, node.ReasonFull, node.ReasonBusy, node.ReasonStorage,
	},
	wire.GetValue:     {node.ReasonNoKey, node.ReasonStorage},
	wire.AddProvider:  {node.ReasonNoKey, node.ReasonLongKey, node.ReasonNoProvider, node.ReasonQuota, node.ReasonFull, node.ReasonBusy, node.ReasonStorage},
	wire.GetProviders: {node.ReasonNoKey, node.ReasonLongKey, node.ReasonStorage},
	wire.FindNode:     {node.ReasonNoKey},
	wire.NumTypes: {
		rpc.ReasonStreams, rpc.ReasonIdle, rpc.ReasonMemory, rpc.ReasonRate, rpc.ReasonTooLarge, rpc.ReasonMalformed, rpc.ReasonEmpty,
		rpc.ReasonUnknownType, rpc.ReasonClosed,
	},
}

// outboundReasons are the expected reasons of every outbound request.
var outboundReasons = []string{
	rpc.ReasonUnreachable, rpc.ReasonUnsupported, rpc.ReasonEnded, rpc.ReasonReplyType, rpc.ReasonTooLarge,
	rpc.ReasonMalformed, rpc.ReasonEmpty, reasonOther,
}

// The outcomes of a record that a peer wants to store here.
const (
	putStored  = "stored"
	putOlder   = "older"   // the stored value is better
	putInvalid = "invalid" // see record_validation_failures_total
	putRefused = "refused" // quota reached, disk or file full, queue full
	putFailed  = "failed"  // internal error
)

// putReasons maps the reason of a rejected record to its outcome. Other reasons map to
// putFailed.
var putReasons = map[string]string{
	node.ReasonOlder: putOlder,
	node.ReasonQuota: putRefused, node.ReasonFull: putRefused, node.ReasonBusy: putRefused,
	node.ReasonNoKey: putInvalid, node.ReasonLongKey: putInvalid, node.ReasonNoRecord: putInvalid, node.ReasonMismatch: putInvalid,
	node.ReasonNamespace: putInvalid, node.ReasonInvalid: putInvalid, node.ReasonNoProvider: putInvalid, rpc.ReasonTooLarge: putInvalid,
}

// rpcObserver counts requests. Inbound is called for every served request, so its children
// are resolved in advance. Safe for concurrent use.
type rpcObserver struct {
	in, out side
	puts    [records.NumKinds]puts
	invalid map[string]prometheus.Counter // by reason
}

var _ rpc.Observer = (*rpcObserver)(nil)

// side contains the metrics of one direction.
type side struct {
	requests   [numTypes][rpc.NumOutcomes]prometheus.Counter
	duration   [wire.NumTypes]prometheus.Observer
	bytes      [numTypes]struct{ request, reply prometheus.Counter }
	rejected   [numTypes]map[string]prometheus.Counter // the expected ones, by reason
	rejections *prometheus.CounterVec                  // all rejections, by type and reason
}

// puts counts the records of one kind that peers wanted to store.
type puts struct {
	stored, failed prometheus.Counter
	rejected       map[string]prometheus.Counter // by reason; other reasons count as failed
}

func newRPCObserver(r registrar) *rpcObserver {
	o := &rpcObserver{
		in:  newSide(r, "inbound", "Requests from peers"),
		out: newSide(r, "outbound", "Requests to peers"),
	}
	for t := range wire.Type(numTypes) {
		o.in.expect(t, inboundReasons[t])
		if t < wire.NumTypes {
			o.out.expect(t, outboundReasons)
		}
	}
	total := r.counterVec("record_puts_total", "Records that peers wanted to store here, by outcome. A quota may refuse a provider record after it was queued, see quota_refusals_total.", "kind", "outcome")
	o.puts[records.KindValue] = newPuts(total, records.KindValue, inboundReasons[wire.PutValue])
	o.puts[records.KindProvider] = newPuts(total, records.KindProvider, inboundReasons[wire.AddProvider])
	o.invalid = make(map[string]prometheus.Counter)
	failures := r.counterVec("record_validation_failures_total", "Records from peers that were refused as invalid.", "reason")
	for reason, outcome := range putReasons {
		if outcome == putInvalid {
			o.invalid[reason] = failures.WithLabelValues(reason)
		}
	}
	return o
}

func newSide(r registrar, dir, what string) side {
	s := side{rejections: r.counterVec("rpc_"+dir+"_rejected_total", what+" that were not answered, by reason: the message, the peer, or lack of capacity.", "type", "reason")}
	total := r.counterVec("rpc_"+dir+"_requests_total", what+" by type and outcome.", "type", "outcome")
	duration := r.histogramVec("rpc_"+dir+"_duration_seconds", what+": duration.", rpcBuckets, "type")
	bytes := r.counterVec("rpc_"+dir+"_bytes_total", what+": size of the requests and of their replies.", "type", "part")
	for t := range s.requests {
		name := wire.Type(t).String()
		for out := range s.requests[t] {
			s.requests[t][out] = total.WithLabelValues(name, rpc.Outcome(out).String())
		}
		s.bytes[t].request = bytes.WithLabelValues(name, "request")
		s.bytes[t].reply = bytes.WithLabelValues(name, "reply")
		if t < wire.NumTypes {
			s.duration[t] = duration.WithLabelValues(name)
		}
	}
	return s
}

// expect lets the expected rejections of a type start at 0.
func (d *side) expect(t wire.Type, reasons []string) {
	d.rejected[t] = make(map[string]prometheus.Counter)
	for _, reason := range reasons {
		d.rejected[t][reason] = d.rejections.WithLabelValues(t.String(), reason)
	}
}

func newPuts(v *prometheus.CounterVec, k records.Kind, reasons []string) puts {
	p := puts{
		stored:   v.WithLabelValues(k.String(), putStored),
		failed:   v.WithLabelValues(k.String(), putFailed),
		rejected: make(map[string]prometheus.Counter),
	}
	for _, reason := range reasons {
		if outcome, ok := putReasons[reason]; ok {
			p.rejected[reason] = v.WithLabelValues(k.String(), outcome)
		}
	}
	return p
}

// Inbound implements rpc.Observer.
func (o *rpcObserver) Inbound(s rpc.Stats) {
	t := o.in.observe(s.Type, s.Outcome, s.Duration, s.BytesIn, s.BytesOut)
	switch t {
	case wire.PutValue:
		o.put(records.KindValue, s.Outcome, s.Reason)
	case wire.AddProvider:
		o.put(records.KindProvider, s.Outcome, s.Reason)
	}
	if s.Outcome == rpc.Rejected {
		o.in.reject(t, s.Reason)
	}
}

// Outbound implements rpc.Observer. A peer rejects a request by ending the stream, so the
// reasons of failures are counted too.
func (o *rpcObserver) Outbound(s rpc.Stats) {
	t := o.out.observe(s.Type, s.Outcome, s.Duration, s.BytesOut, s.BytesIn)
	if s.Outcome == rpc.Rejected || s.Outcome == rpc.Failed {
		o.out.reject(t, s.Reason)
	}
}

// observe counts a request and returns its type, or wire.NumTypes if it is unknown. The
// duration of an unknown request is ignored: it may be that of a silent stream.
func (d *side) observe(t wire.Type, out rpc.Outcome, took time.Duration, request, reply int) wire.Type {
	t = min(t, wire.NumTypes)
	d.requests[t][min(out, rpc.NumOutcomes-1)].Inc()
	d.bytes[t].request.Add(float64(request))
	d.bytes[t].reply.Add(float64(reply))
	if t < wire.NumTypes {
		d.duration[t].Observe(took.Seconds())
	}
	return t
}

func (d *side) reject(t wire.Type, reason string) {
	if c, ok := d.rejected[t][reason]; ok {
		c.Inc()
		return
	}
	if !slices.Contains(knownReasons, reason) {
		reason = reasonOther
	}
	d.rejections.WithLabelValues(t.String(), reason).Inc()
}

// put counts a record that a peer wanted to store. Once the type of a request is known, only
// the handler rejects it. After that the record is stored, whether or not the reply could be
// written.
func (o *rpcObserver) put(k records.Kind, out rpc.Outcome, reason string) {
	p := &o.puts[k]
	switch c, ok := p.rejected[reason]; {
	case out != rpc.Rejected:
		p.stored.Inc()
	case ok:
		c.Inc()
	default:
		p.failed.Inc()
	}
	if c, ok := o.invalid[reason]; ok && out == rpc.Rejected {
		c.Inc()
	}
}
