// Package stamp remembers that nothing was to be done, and what was read then. A
// later run asks the kernel the same questions again; when the answers are the
// same, and all else that decides is the same too, there is nothing to be done
// again, and neither the document nor its keys have to be looked at.
//
// What was read is whatever went over the connections, byte by byte, but for
// the counters that the table in mask.go names: nothing has to be thought of
// twice, and what is new or unknown is a difference. A stamp holds no keys, and
// nothing in it can be tried against a key without the secret of the state
// directory.
//
// Start with Recorder, Write, Read, Stamp.Fits and Stamp.Holds.
package stamp
