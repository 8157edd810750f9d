// A library that is no module.
extern "C" int nothing_of_interest() { return 0; }
