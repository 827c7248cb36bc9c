struct library_type { int x; };
struct nobody_needs { int x; };
const NOBODY_USES = 5;
