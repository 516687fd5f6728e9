// Package dht is the protocol as one passive state machine.
//
// Machine is the client side: queries, probes, the routing table and its refresh,
// and the schedule of published keys. Handler is the serving side of the six RPCs.
// Neither has a goroutine, a lock, a clock or any I/O. Package node drives them over
// libp2p, package sim over a heap of events. The same inputs give the same outputs,
// byte for byte.
//
// # The driver's contract
//
// A driver owns one Machine in one goroutine. It repeats four steps:
//
//  1. Call one or more input methods. Start, Cancel and Loaded come from the driver's
//     own users and disk; Responded, Found and Failed from the network; PeerFound,
//     PeerGone, Alive, Doubt and Moved from its host; Tick from its timer. The time
//     they take must never run backwards. The first inputs are Scheduled for each
//     published key, then Restored once, which starts the upkeep of the table.
//  2. Call Take and perform the Output, field by field, in the order of its fields.
//     Nothing in it may block the goroutine: requests, disk work and callers get it
//     handed over.
//  3. If performing it called an input method, go to 2.
//  4. Call Deadline and set the timer for the next Tick. A late Tick delays work and
//     breaks nothing.
//
// The driver keeps these promises:
//
//   - Every Send ends in exactly one Responded or Failed, at its Deadline at the
//     latest. The Machine does not time requests out by itself: one that never ends
//     keeps its place among MaxRequests for good. Found may precede that end.
//   - A Send that appears in Cancel may end or not: both are ignored. Other late or
//     repeated ends are ignored too.
//   - Failed gets ErrNotServer, ErrLimited or ErrRefused where they apply. Any other
//     error means that the peer did not answer.
//   - Every item of Load ends in exactly one Loaded, also if the disk fails.
//   - What Response carries has been checked off the loop: type and size of the
//     message, the record by its validator, the addresses by the filter.
//
// Two things must be durable before what follows them:
//
//   - A published key is in the keystore before Scheduled and before the query that
//     first publishes it. Otherwise a crash leaves records in the network that nobody
//     republishes.
//   - A removed key is out of the keystore before Unscheduled. Otherwise a crash
//     brings it back.
//
// Published and Snapshot are notes. A crash that loses them costs one more
// publication or the probes of an older table, and nothing else, so a driver may
// batch them and does not have to sync them.
package dht
