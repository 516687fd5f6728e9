// Package workload benchmarks stores of provider records: the node's own store and, from the
// module interop/bench, others.
//
// Every store does the same work in the same order, each in a process of its own and in
// turns, so that changes in the machine's load and the page cache affect all of them alike.
// Only durable records count as written. The report contains figures that carry over to other
// machines, bytes and fsyncs per record, next to those that do not. On a shared machine,
// rates are accurate to a factor of 1.5, and ratios within one run to 25 %.
//
// The work is that of a public server. Keys are SHA-256 multihashes. Nine of ten records have
// a key of their own; the others share a popular hundredth of the keys. 15,000 providers
// announce in bursts of 500. A record lives 48 hours and is republished after 22. Time is
// simulated, because a Store takes it as an argument, so two days pass in seconds.
//
// Compare controls the processes, and Serve runs in them.
package workload
