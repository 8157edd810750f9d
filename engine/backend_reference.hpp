// The backend that says what every op means: plain loops with double accumulators, one thread, no tricks.
#pragma once

namespace fathom {

struct ReferenceBackend {};

}  // namespace fathom
