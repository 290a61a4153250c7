imge = 1
