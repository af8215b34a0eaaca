// Package confine takes away from a process what it does not need any more, for
// good: new privileges, capabilities, and system calls that are not on a list.
//
// Process is for the whole process, after it has opened what it must open with
// more rights. Thread is for a thread that only handles packets. Both cannot be
// undone. Linux only; what a machine cannot do is reported, not assumed.
package confine
