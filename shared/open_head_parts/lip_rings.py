"""Rings, arcs and rows of the MediaPipe face mesh that the open head is built along.

Whole outlines are in ``shared.landmarks``; here are the arcs that have an order of their own.

"Right" is the subject's right, which is on the left of a picture of them. Lip arcs run from the
right to the left mouth corner; upper and lower arcs of a ring share their first and last vertex.
"""

OUTER_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
SECOND_UPPER = (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306)
SECOND_LOWER = (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306)
THIRD_UPPER = (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292)
THIRD_LOWER = (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_RINGS = (OUTER_UPPER, SECOND_UPPER, THIRD_UPPER, INNER_UPPER)
LOWER_RINGS = (OUTER_LOWER, SECOND_LOWER, THIRD_LOWER, INNER_LOWER)
LIPS = tuple(sorted({i for ring in (*UPPER_RINGS, *LOWER_RINGS) for i in ring}))

RIGHT_LID_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_LID_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
RIGHT_BROW_UPPER = (70, 63, 105, 66, 107)
RIGHT_BROW_LOWER = (46, 53, 52, 65, 55)

NOSE_BASE = (2, 97, 326, 98, 327, 164)
