"""Landmark groups of the MediaPipe face mesh that the open head is built from.

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
LIP_CONTOURS = tuple(sorted({*OUTER_UPPER, *OUTER_LOWER, *INNER_UPPER, *INNER_LOWER}))
"""The 40 lip landmarks that LMD is measured on."""

RIGHT_LID_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_LID_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
RIGHT_BROW_UPPER = (70, 63, 105, 66, 107)
RIGHT_BROW_LOWER = (46, 53, 52, 65, 55)
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
"""Centre, then image right, top, image left, bottom."""

FACE_OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""From the top of the forehead over the subject's left side, the chin and the right side."""

CHIN = (152, 175, 199, 200, 18, 83, 313, 182, 406, 201, 421, 208, 428, 171, 396, 148, 377)
NOSE_BASE = (2, 97, 326, 98, 327, 164)
