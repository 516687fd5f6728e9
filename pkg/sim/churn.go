package sim

import "time"

// Churn.
const (
	// sessionShape and sessionScale describe the sessions of servers that come
	// and go (Weibull, fitted to crawls of the public network).
	sessionShape = 0.608
	sessionScale = 3*time.Hour + 40*time.Minute // 3.66 h
	// stableShare are the servers that stay for ever in ChurnMixture (RFM17: 15 of
	// 20 holders still there after 80 h).
	stableShare = 0.75
)

// churn is the coming and going of servers: those there at the start have what
// is left of a session under way, and new ones arrive as a Poisson process at
// the rate that keeps their number.
type churn struct {
	sessions *weibull
	between  time.Duration // mean time between arrivals; 0: none
}

// cast gives every node its role, and those subject to churn the time of their
// end.
func (w *World) cast() {
	o := &w.opts
	clients := int(float64(o.Nodes) * o.Clients)
	for i, n := range w.nodes {
		n.client = i >= o.Bootstrap && i >= o.Nodes-clients
		n.stable = i < o.Bootstrap || n.client || o.Churn == ChurnNone ||
			o.Churn == ChurnMixture && w.random.churn.Float64() < stableShare
	}
	if o.Churn == ChurnNone {
		return
	}
	w.churn.sessions = newWeibull(sessionShape, sessionScale)
	mortal := 0
	for _, n := range w.nodes {
		if !n.stable {
			mortal++
			w.queue.push(w.churn.sessions.residual(w.random.churn), evStop, n.num)
		}
	}
	if mortal > 0 {
		w.churn.between = w.churn.sessions.mean / time.Duration(mortal)
		w.nextArrival()
	}
}

func (w *World) nextArrival() {
	w.queue.push(w.now+exponential(w.random.churn, w.churn.between), evArrival, 0)
}

// arrive brings a new node for one session.
func (w *World) arrive() {
	n := w.newNode()
	w.start(n)
	w.queue.push(w.now+w.churn.sessions.session(w.random.churn), evStop, n.num)
	w.nextArrival()
}
