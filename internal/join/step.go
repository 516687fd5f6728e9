package join

import "slices"

// Kind is the type of a Step.
type Kind string

// The kinds of steps.
const (
	Lookup     Kind = "lookup"      // Who starts a lookup for Target, with Peers
	Candidate  Kind = "candidate"   // Who has Peer in the first shortlist
	Dial       Kind = "dial"        // Who asks Peer
	Silence    Kind = "silence"     // Peer does not answer Who
	Answer     Kind = "answer"      // Who answers Peer with the nearest to Target: Peers
	Added      Kind = "added"       // Who has Peer in Bucket now, see Outcome
	Shortlist  Kind = "shortlist"   // Entries are the shortlist of the lookup of Who
	NewClosest Kind = "new_closest" // Peer is the nearest to answer Who so far
	Closest    Kind = "closest"     // the lookup of Who ended with Peers
	Refresh    Kind = "refresh"     // Who refreshes Bucket by looking for Target
)

// Step is one event of a story; which fields are set depends on Kind.
type Step struct {
	Who     string  `json:"who"`
	Kind    Kind    `json:"kind"`
	Target  ID      `json:"target"`
	Peer    ID      `json:"peer"`
	Peers   []ID    `json:"peers,omitempty"`
	Bucket  int     `json:"bucket"`
	Outcome string  `json:"outcome,omitempty"` // of the routing table: added or cached
	Entries []Entry `json:"entries,omitempty"`
}

// Entry is a peer of a lookup's shortlist.
type Entry struct {
	Peer  ID    `json:"peer"`
	State State `json:"state"`
}

// State is the state of a peer in a lookup.
type State string

// The states of a peer.
const (
	heard     State = "heard"
	responded State = "responded"
	failed    State = "failed"
)

// shortlist mirrors the shortlist of a lookup, for the steps.
type shortlist struct {
	target  ID
	entries []Entry // by distance to target
}

func (s *shortlist) hear(peers []ID) {
	for _, p := range peers {
		i, known := slices.BinarySearchFunc(s.entries, p, func(e Entry, p ID) int {
			return int(e.Peer^s.target) - int(p^s.target)
		})
		if !known {
			s.entries = slices.Insert(s.entries, i, Entry{Peer: p, State: heard})
		}
	}
}

func (s *shortlist) set(p ID, state State) {
	for i := range s.entries {
		if s.entries[i].Peer == p {
			s.entries[i].State = state
		}
	}
}

// closest returns the nearest peer that has answered.
func (s *shortlist) closest() (ID, bool) {
	for _, e := range s.entries {
		if e.State == responded {
			return e.Peer, true
		}
	}
	return 0, false
}
