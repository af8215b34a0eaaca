// Package vti moves virtual tunnel interfaces (VTIs) to XFRM interfaces: it
// finds what is bound to them by their keys, says what is wrong with it, plans
// the move and carries it out, so that it can be taken back.
//
// Inspect and NewPlan are pure functions of what a namespace has (State). The
// edge is Session: it reads the State, keeps the journal in the state
// directory, and takes the steps. Each step brings something to where it shall
// be, from wherever it is: a run that was killed is completed, or undone, by
// taking all steps of one direction again.
//
// What a VTI used stays beside what takes its place until Finish: the device,
// down and under another name; SAs and policies with its mark, which nothing
// matches any more. So Undo has nothing to invent.
//
// Start with Open, or with Inspect.
package vti
