// Package latency counts durations in logarithmic buckets and computes quantiles of those in
// a window.
//
// A Histogram only grows, so observing is one atomic addition, without a lock and without
// windows. The quantiles of a window are those of the difference between two Counts.
package latency
