/* Values of the types in calc.x, to be sent and compared. */
#ifndef CALC_SAMPLES_H
#define CALC_SAMPLES_H

#include "calc.h"

/* The elements of a C array, and how many they are: initialises any variable array. */
#define ELEMENTS(array) { sizeof (array) / sizeof *(array), (array) }
#define COUNT(array) (sizeof (array) / sizeof *(array))

extern color all_colors[5];
extern shape all_shapes[9];
extern packet all_packets[6];
extern paint all_paints[5];
extern quotient all_quotients[4];
extern evaluation all_evaluations[3];
extern answer all_answers[2];

extern node three_nodes;        /* 1, -2, 3 */
extern expr small_tree;         /* (1.5 + 2) * -(4 / 8) = -1.75 */
extern everything empty_everything;     /* whatever may be empty is */
extern everything full_everything;      /* whatever has a limit has reached it */

/* A list of `length` nodes, 0, -1, 2, -3 ... in one piece of memory: free() it as a whole. */
nodelist make_list(int length);

/* `size` bytes that repeat nowhere near: free() them. */
blob make_blob(u_int size);

#endif
