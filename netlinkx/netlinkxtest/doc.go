// Package netlinkxtest is a fake kernel for tests of programs that use
// netlinkx: a Kernel whose Handler answers requests, for an ordinary user and
// without a socket. It can say everything that the real one says: errnos,
// extended acknowledgements, warnings with success, multipart answers,
// interrupted dumps, lost events, and messages cut short.
//
// It keeps no SAs or policies by itself and checks nothing: the answers are
// the test's.
//
// Start with Kernel.
package netlinkxtest
