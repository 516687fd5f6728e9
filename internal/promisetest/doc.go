// Package promisetest compares the program with committed files: lists of what a release
// promises, and pages that are written from the code.
package promisetest
