// Package promisetest compares what a release offers with a committed list of what earlier
// ones promised.
package promisetest
