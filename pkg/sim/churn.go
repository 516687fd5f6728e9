package sim

import "time"

// Churn.
const (
	// sessionShape and sessionScale are the Weibull parameters of the sessions of unstable
	// servers, fitted to crawls of the public network.
	sessionShape = 0.608
	sessionScale = 3*time.Hour + 40*time.Minute // 3.66 h
	// stableShare is the share of servers that never leave in ChurnMixture (RFM17: 15 of
	// 20 holders were still online after 80 h).
	stableShare = 0.75
)

// churn is the arrival and departure of servers. The first servers are in the middle of a
// session and stay for the rest of it. New servers arrive as a Poisson process, at the
// rate that keeps their number constant.
type churn struct {
	sessions *weibull
	between  time.Duration // mean time between arrivals; 0: none
}

// cast gives every node its role, and schedules the end of the nodes that are subject to
// churn.
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

// arrive starts a new node, which stays for one session.
func (w *World) arrive() {
	n := w.newNode()
	w.start(n)
	w.queue.push(w.now+w.churn.sessions.session(w.random.churn), evStop, n.num)
	w.nextArrival()
}
