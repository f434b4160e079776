// Package features proves that it makes no difference to what is stated of people
// which way their events came: as spans and CloudEvents over the network, through
// a collector, a broker and the processor, or straight into the folds. Detectors
// are evaluated on the short way.
package features
