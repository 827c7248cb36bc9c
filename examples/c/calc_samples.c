#include <limits.h>
#include <float.h>
#include <stdlib.h>

#include "calc_samples.h"

/* ---- lists and trees -------------------------------------------------------------------- */

static node third = { .value = 3, .next = NULL };
static node second = { .value = -2, .next = &third };
node three_nodes = { .value = 1, .next = &second };
static node lonely = { .value = INT_MIN, .next = NULL };

static char eleven_bytes[] = "\0\1\2\377four\r\n\200";
static entry last_entry = { .key = "sixteen-bytes-xx", .data = { 11, eleven_bytes }, .next = NULL };
static entry first_entry = { .key = "", .data = { 0, NULL }, .next = &last_entry };

static expr one_and_a_half = { .op = OP_NUMBER, .number = 1.5 };
static expr two = { .op = OP_NUMBER, .number = 2 };
static expr four = { .op = OP_NUMBER, .number = 4 };
static expr eight = { .op = OP_NUMBER, .number = 8 };
static expr left_sum = { .op = OP_ADD, .left = &one_and_a_half, .right = &two };
static expr a_half = { .op = OP_DIV, .left = &four, .right = &eight };
static expr negative = { .op = OP_NEG, .left = &a_half };
expr small_tree = { .op = OP_MUL, .left = &left_sum, .right = &negative };

/* ---- every arm of every union ----------------------------------------------------------- */

color all_colors[5] = { ULTRAVIOLET, INFRARED, RED, GREEN, BLUE };

static rectangle blue_box = { { -1, -2 }, { INT_MAX, INT_MIN }, BLUE };
static int five_angles[5] = { 108, -108, 0, INT_MAX, INT_MIN };
static point eight_points[MAXFEW] = { { 0, 0 }, { 1, 1 }, { -1, 1 }, { 7, 8 }, [7] = { 9, -9 } };

shape all_shapes[9] = {
    { .sides = -1, .shape_u.unknown = "\1\2\3\4\5\6\7" },
    { .sides = 0, .shape_u.center = { 3, -4 } },
    { .sides = 1, .shape_u.ends = { { 0, 0 }, { 5, 5 } } },
    { .sides = 2, .shape_u.ends = { { -1, 0 }, { 0, -1 } } },
    { .sides = 3, .shape_u.corners = { { 0, 0 }, { 4, 0 }, { 0, 3 } } },
    { .sides = 4, .shape_u.box = &blue_box },
    { .sides = 5, .shape_u.angles = ELEMENTS(five_angles) },
    { .sides = 6, .shape_u.hexagon = "honeycomb" },
    { .sides = -77, .shape_u.outline = ELEMENTS(eight_points) },    /* the default arm */
};

packet all_packets[6] = {
    { .kind = 0 },
    { .kind = 0x10, .packet_u.body = { 11, eleven_bytes } },
    { .kind = 0x11, .packet_u.path = NULL },
    { .kind = 0x12, .packet_u.path = &three_nodes },
    { .kind = 0xfffffff0, .packet_u.stamp = LLONG_MIN },
    { .kind = 0xffffffff },                                         /* the default arm */
};

paint all_paints[5] = {
    { .kind = RED, .paint_u.opacity = 0.25f },
    { .kind = GREEN, .paint_u.opacity = -0.0f },
    { .kind = BLUE, .paint_u.opacity = FLT_MAX },
    { .kind = ULTRAVIOLET },
    { .kind = INFRARED },
};

quotient all_quotients[4] = {
    { .status = CALC_OK, .quotient_u.value = -7 },
    { .status = CALC_DIV_BY_ZERO },
    { .status = CALC_OVERFLOW, .quotient_u.message = "too much" },
    { .status = CALC_BAD_TREE, .quotient_u.message = "" },
};

evaluation all_evaluations[3] = {
    { .status = CALC_OK, .evaluation_u.value = DBL_MIN },
    { .status = CALC_DIV_BY_ZERO },
    { .status = CALC_BAD_TREE },
};

answer all_answers[2] = {
    { .known = TRUE, .answer_u.text = "forty-two" },
    { .known = FALSE },
};

/* ---- one of everything ------------------------------------------------------------------ */

/* A C string is never absent: an empty one is "", where rpcgen's xdr routines refuse NULL. */
everything empty_everything = {
    .name = "", .story = "", .nick = "", .long_story = "", .pair = { "", "" },
};

static quad_t four_hypers[4] = { 0, -1, LLONG_MAX, LLONG_MIN };
static u_quad_t two_sizes[2] = { 0, ULLONG_MAX };
static double three_reals[3] = { DBL_MAX, -DBL_MIN, 0.1 };
static bool_t three_bits[3] = { TRUE, FALSE, TRUE };
static word three_words[3] = { "", "gr\303\274n", "sixteen-bytes-xx" };
static digest three_digests[3] = { "abc", { 0 }, { '\377', '\376', '\375', '\374' } };
static int eight_ints[MAXFEW] = { 1, -1, INT_MAX, INT_MIN, 5, 6, 7, 8 };
static char all_ones[32] = { [0 ... 31] = '\377' };
static celsius coldest = COLDEST;
static int minus_one = -1;
static word a_title = "Sir";
static maybe_point origin = &eight_points[0];
static nodelist four_lists[4] = { NULL, &three_nodes, &lonely, NULL };

everything full_everything = {
    .i = INT_MIN, .u = UINT_MAX, .h = LLONG_MIN, .uh = ULLONG_MAX,
    .f = -FLT_MIN, .d = -DBL_MAX, .b = TRUE, .c = ULTRAVIOLET,
    .temperature = COLDEST, .number = 0x80000000, .since = -1, .size = 1ULL << 63,
    .part = 0.5f, .whole = 1e300, .up = TRUE, .dark = INFRARED,
    .id = "\1\2\3\4\5\6", .token = { 7, all_ones }, .sum = "\377\0\177",
    .jar = { 32, all_ones }, .data = { 11, eleven_bytes },
    .name = "sixteen-bytes-xx", .story = "once upon a time", .nick = "sixteen bytes ok",
    .long_story = "and they lived happily ever after",
    .fixed_ints = { -1, 0, 1 }, .some = { 0, UINT_MAX, 2, 3, 4, 5, 6, 7 },
    .hypers = ELEMENTS(four_hypers), .sizes = ELEMENTS(two_sizes),
    .floats = { FLT_MAX, 0.1f }, .reals = ELEMENTS(three_reals), .bits = ELEMENTS(three_bits),
    .fixed_colors = { BLUE, ULTRAVIOLET }, .colors = ELEMENTS(all_colors),
    .corners = { { 1, 2 }, { -3, -4 } }, .track = ELEMENTS(eight_points),
    .pair = { "left", "right" }, .dictionary = ELEMENTS(three_words),
    .digests = ELEMENTS(three_digests), .speed = { 3, 2, 1 },
    .few = ELEMENTS(eight_ints), .many = ELEMENTS(eight_ints),
    .here = { 10, 20 }, .area = { { 0, 0 }, { 4, 0 }, { 0, 3 } },
    .frame = { { 0, 0 }, { 1, 1 }, GREEN },
    .result = { .status = CALC_OVERFLOW, .quotient_u.message = "too much" },
    .coat = { .kind = BLUE, .paint_u.opacity = 1 },
    .form = { .sides = 4, .shape_u.box = &blue_box },
    .sent = { .kind = 0x12, .packet_u.path = &three_nodes },
    .reply = { .known = TRUE, .answer_u.text = "sixteen-bytes-xx" },
    .forms = { 3, &all_shapes[6] },
    .maybe = &eight_points[3], .outside = &coldest, .count = &minus_one, .title = &a_title,
    .hint = &all_answers[0], .anchor = &eight_points[4], .perhaps = &origin,
    .head = &three_nodes, .tail = &lonely, .lanes = ELEMENTS(four_lists), .chained = { 0, &third },
    .entries = &first_entry, .formula = &small_tree,
};

/* ---- large ones ------------------------------------------------------------------------- */

nodelist make_list(int length)
{
    nodelist list = calloc(length, sizeof *list);

    for (int i = 0; i < length; i++) {
        list[i].value = i % 2 ? -i : i;
        list[i].next = i + 1 < length ? &list[i + 1] : NULL;
    }
    return list;
}

blob make_blob(u_int size)
{
    blob bytes = { size, malloc(size) };

    for (u_int i = 0; i < size; i++)
        bytes.blob_val[i] = (char)(i ^ i >> 8 ^ i >> 16);
    return bytes;
}
