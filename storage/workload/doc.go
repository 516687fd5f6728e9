// Package workload measures stores of provider records: the node's own and, from
// the module interop/bench, others beside it.
//
// It promises that every store does the same work in the same order, each in a
// process of its own and in turns, so that the machine's moods and the page cache
// meet them alike; that what counts as written is durable; and that figures which
// carry over to another machine, bytes and fsyncs per record, stand beside those
// that do not. Rates on a shared machine are good to a factor of one and a half,
// ratios within one run to a quarter.
//
// The work is that of a public server: keys are SHA-256 multihashes; nine of ten
// records have a key of their own, the others share one of the popular hundredth;
// 15,000 providers announce in bursts of 500; a record lives 48 hours and is
// announced again after 22. Time is simulated, so that two days pass in seconds:
// a Store takes it as an argument.
//
// Compare drives the processes, Serve is what runs in them.
package workload
