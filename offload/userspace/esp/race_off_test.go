//go:build !race

package esp

// raceDetector says that the tests run several times slower.
const raceDetector = false
