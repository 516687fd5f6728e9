package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// numTypes counts the types of requests and, at the end, the unknown.
const numTypes = wire.NumTypes + 1

// reasonOther stands for every reason that is not in knownReasons.
const reasonOther = rpc.ReasonOther

// Reasons the node's handler gives; see node.RejectReasons.
const (
	reasonNoKey      = "no_key"
	reasonLongKey    = "key_too_long"
	reasonNoRecord   = "no_record"
	reasonMismatch   = "key_mismatch"
	reasonInvalid    = "invalid_record"
	reasonNoProvider = "no_provider"
	reasonOlder      = "older_record"
	reasonQuota      = "quota"
	reasonBusy       = "busy"
	reasonStorage    = "storage"
)

// knownReasons are all values of the label reason.
var knownReasons = []string{
	reasonOther, rpc.ReasonClosed, rpc.ReasonUnreachable, rpc.ReasonUnsupported, rpc.ReasonEnded, rpc.ReasonReplyType,
	rpc.ReasonTooLarge, rpc.ReasonMalformed, rpc.ReasonEmpty, rpc.ReasonUnknownType, rpc.ReasonRefused,
	rpc.ReasonStreams, rpc.ReasonRate,
	reasonNoKey, reasonLongKey, reasonNoRecord, reasonMismatch, reasonInvalid, reasonNoProvider, reasonOlder,
	reasonQuota, reasonBusy, reasonStorage,
}

// inboundReasons are those expected for inbound requests of each type, the last
// before the request is known; others appear when they first happen.
var inboundReasons = [numTypes][]string{
	wire.PutValue: {
		reasonNoKey, reasonLongKey, reasonNoRecord, reasonMismatch, rpc.ReasonTooLarge, reasonInvalid,
		reasonOlder, reasonQuota, reasonBusy, reasonStorage,
	},
	wire.GetValue:     {reasonNoKey, reasonStorage},
	wire.AddProvider:  {reasonNoKey, reasonLongKey, reasonNoProvider, reasonQuota, reasonBusy, reasonStorage},
	wire.GetProviders: {reasonNoKey, reasonLongKey, reasonStorage},
	wire.FindNode:     {reasonNoKey},
	wire.NumTypes: {
		rpc.ReasonStreams, rpc.ReasonRate, rpc.ReasonTooLarge, rpc.ReasonMalformed, rpc.ReasonEmpty,
		rpc.ReasonUnknownType, rpc.ReasonClosed,
	},
}

// outboundReasons are those expected for every outbound request.
var outboundReasons = []string{
	rpc.ReasonUnreachable, rpc.ReasonUnsupported, rpc.ReasonEnded, rpc.ReasonReplyType, rpc.ReasonTooLarge,
	rpc.ReasonMalformed, rpc.ReasonEmpty, reasonOther,
}

// The outcomes of a record that a peer wants stored here.
const (
	putStored  = "stored"
	putOlder   = "older"   // the stored value is better
	putInvalid = "invalid" // see record_validation_failures_total
	putRefused = "refused" // quota reached, queue full
	putFailed  = "failed"  // our doing
)

// putReasons maps the reason of a refused record to its outcome; putFailed for
// others.
var putReasons = map[string]string{
	reasonOlder: putOlder,
	reasonQuota: putRefused, reasonBusy: putRefused,
	reasonNoKey: putInvalid, reasonLongKey: putInvalid, reasonNoRecord: putInvalid, reasonMismatch: putInvalid,
	reasonInvalid: putInvalid, reasonNoProvider: putInvalid, rpc.ReasonTooLarge: putInvalid,
}

// rpcObserver counts requests. Inbound is called for every request served: its
// children are resolved beforehand. Safe for concurrent use.
type rpcObserver struct {
	in, out side
	stored  [records.NumKinds]prometheus.Counter // of puts: the usual one
	puts    *prometheus.CounterVec
	invalid map[string]prometheus.Counter
}

var _ rpc.Observer = (*rpcObserver)(nil)

// side is the metrics of one direction.
type side struct {
	requests [numTypes][rpc.NumOutcomes]prometheus.Counter
	duration [wire.NumTypes]prometheus.Observer
	bytes    [numTypes]struct{ request, reply prometheus.Counter }
	rejected *prometheus.CounterVec
}

func newRPCObserver(r registrar) *rpcObserver {
	o := &rpcObserver{
		in:  newSide(r, "inbound", "Requests of peers"),
		out: newSide(r, "outbound", "Requests to peers"),
	}
	for t, reasons := range inboundReasons {
		for _, reason := range reasons {
			o.in.rejected.WithLabelValues(wire.Type(t).String(), reason)
		}
	}
	for t := range wire.Type(wire.NumTypes) {
		for _, reason := range outboundReasons {
			o.out.rejected.WithLabelValues(t.String(), reason)
		}
	}
	o.addPuts(r)
	return o
}

func newSide(r registrar, dir, what string) side {
	var s side
	total := r.counterVec("rpc_"+dir+"_requests_total", what+" by type and how they ended.", "type", "outcome")
	duration := r.histogramVec("rpc_"+dir+"_duration_seconds", what+": time each took.", rpcBuckets, "type")
	bytes := r.counterVec("rpc_"+dir+"_bytes_total", what+": size of the messages.", "type", "part")
	s.rejected = r.counterVec("rpc_"+dir+"_rejected_total", what+" that did not get a reply for a reason that lies in the message or the peer, or for want of room.", "type", "reason")
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

func (o *rpcObserver) addPuts(r registrar) {
	o.puts = r.counterVec("record_puts_total", "Records that peers wanted stored here, by what became of them.", "kind", "outcome")
	for k := range o.stored {
		kind := records.Kind(k).String()
		o.stored[k] = o.puts.WithLabelValues(kind, putStored)
		for _, outcome := range putReasons {
			if outcome != putOlder || records.Kind(k) == records.KindValue {
				o.puts.WithLabelValues(kind, outcome)
			}
		}
		o.puts.WithLabelValues(kind, putFailed)
	}
	o.invalid = make(map[string]prometheus.Counter)
	failures := r.counterVec("record_validation_failures_total", "Records of peers that were refused as invalid.", "reason")
	for reason, outcome := range putReasons {
		if outcome == putInvalid {
			o.invalid[reason] = failures.WithLabelValues(reason)
		}
	}
}

// Inbound implements rpc.Observer.
func (o *rpcObserver) Inbound(s rpc.Stats) {
	t := o.in.observe(&s, s.BytesIn, s.BytesOut)
	switch t {
	case wire.PutValue:
		o.put(records.KindValue, &s)
	case wire.AddProvider:
		o.put(records.KindProvider, &s)
	}
	if s.Outcome == rpc.Rejected {
		o.in.reject(t, s.Reason)
	}
}

// Outbound implements rpc.Observer. A peer rejects by ending the stream, so that
// failures have their reason counted too.
func (o *rpcObserver) Outbound(s rpc.Stats) {
	t := o.out.observe(&s, s.BytesOut, s.BytesIn)
	if s.Outcome == rpc.Rejected || s.Outcome == rpc.Failed {
		o.out.reject(t, s.Reason)
	}
}

// observe counts a request and returns its type, wire.NumTypes if unknown.
func (d *side) observe(s *rpc.Stats, request, reply int) wire.Type {
	t := min(s.Type, wire.NumTypes)
	out := s.Outcome
	if out >= rpc.NumOutcomes {
		out = rpc.Failed
	}
	d.requests[t][out].Inc()
	d.bytes[t].request.Add(float64(request))
	d.bytes[t].reply.Add(float64(reply))
	if t < wire.NumTypes {
		d.duration[t].Observe(s.Duration.Seconds())
	}
	return t
}

func (d *side) reject(t wire.Type, reason string) {
	if !slices.Contains(knownReasons, reason) {
		reason = reasonOther
	}
	d.rejected.WithLabelValues(t.String(), reason).Inc()
}

// put counts a record that a peer wanted stored. Once its type is known, only
// the handler rejects a request; after that the record is stored, whether or not
// the reply could be written.
func (o *rpcObserver) put(k records.Kind, s *rpc.Stats) {
	if s.Outcome != rpc.Rejected {
		o.stored[k].Inc()
		return
	}
	outcome, ok := putReasons[s.Reason]
	if !ok {
		outcome = putFailed
	}
	o.puts.WithLabelValues(k.String(), outcome).Inc()
	if c, ok := o.invalid[s.Reason]; ok {
		c.Inc()
	}
}
