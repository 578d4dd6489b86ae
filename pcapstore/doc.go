// Package pcapstore keeps packets: the last ones of every tap in memory (Recent), and slices of them as
// pcapng files in a folder with a quota (Store). FORMAT.md says what stands in the files. It does not
// decide what is kept: the engine does.
package pcapstore
