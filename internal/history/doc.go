// Package history keeps what a program counted and measured in the last hour, one sample a
// step, in a bounded ring. Rates are computed from neighbouring samples when they are read.
package history
